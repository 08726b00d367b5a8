/**
 * OpenStack Swift with its S3 interface, as Debian packages it: one node, one replica, in a folder of the test.
 * An implementation of S3 that checks signatures and shares nothing with Amazon's SDK.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

import { freePort, type RunningProgram, type ServerUnderTest, startProgram } from './process.ts';

const run = promisify(execFile);
const SERVICES = ['account', 'container', 'object'] as const;
export const ACCESS_KEY = 'test:tester';
export const SECRET_KEY = 'testing/secret+key=';

export async function startSwift(folder: string): Promise<ServerUnderTest> {
  const running: RunningProgram[] = [];
  const stop = async () => {
    for (const program of running.reverse()) await program.stop();
  };
  const common = (port: number) =>
    `[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = ${port}\nworkers = 0\nuser = ${userInfo().username}\nswift_dir = ${folder}\n`;
  try {
    for (const service of SERVICES) {
      const port = await freePort();
      await mkdir(join(folder, 'devices', 'd1'), { recursive: true });
      const ring = (...args: string[]) => run('swift-ring-builder', [join(folder, `${service}.builder`), ...args]);
      await ring('create', '4', '1', '1');
      await ring('add', '--region', '1', '--zone', '1', '--ip', '127.0.0.1', '--port', String(port), '--device', 'd1', '--weight', '1');
      // Exits with 1 for a warning: that one device is no redundancy.
      await ring('rebalance').catch((error: { code?: number }) => {
        if (error.code !== 1) throw error;
      });
      const config = join(folder, `${service}-server.conf`);
      await writeFile(
        config,
        `${common(port)}devices = ${folder}/devices\nmount_check = false\n[pipeline:main]\npipeline = ${service}-server\n[app:${service}-server]\nuse = egg:swift#${service}\n`,
      );
      running.push(await startProgram(`swift-${service}-server`, [config], { port }));
    }
    const port = await freePort();
    const config = join(folder, 'proxy-server.conf');
    // Its logins want a cache to be named; that nobody listens there costs them nothing, for signatures are not kept in it.
    await writeFile(
      config,
      `${common(port)}[pipeline:main]\npipeline = catch_errors cache s3api tempauth bulk slo dlo proxy-server
[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true
[filter:catch_errors]\nuse = egg:swift#catch_errors
[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:${await freePort()}\n[filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\ncheck_bucket_owner = false
[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = ${SECRET_KEY} .admin
[filter:bulk]\nuse = egg:swift#bulk\n[filter:slo]\nuse = egg:swift#slo\n[filter:dlo]\nuse = egg:swift#dlo\n`,
    );
    running.push(await startProgram('swift-proxy-server', [config], { port }));
    const endpoint = `http://127.0.0.1:${port}`;
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    });
    await client.send(new CreateBucketCommand({ Bucket: 'backups' }));
    client.destroy();
    const keys = `AWS_ACCESS_KEY_ID=${encodeURIComponent(ACCESS_KEY)}&AWS_SECRET_ACCESS_KEY=${encodeURIComponent(SECRET_KEY)}`;
    const parameters = `${keys}&AWS_ENDPOINT=${encodeURIComponent(endpoint)}&AWS_USE_PATH_STYLE=true`;
    return { uri: (name) => `s3://backups/${name}?${parameters}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
