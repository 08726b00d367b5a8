/** The commands of docs/security.md do what they say, in an empty folder, on free ports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('docs/security.md');
const root = join(import.meta.dirname, '..', '..');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

test('its commands make a cluster with TLS and a user with a password', async () => {
  const page = await readFile(join(root, 'docs', 'security.md'), 'utf8');
  const commands = /<!-- commands -->\n```sh\n(.*?)```/s.exec(page)?.[1] ?? '';
  assert.ok(commands.includes('varve start'));
  const folder = await mkdtemp(join(tmpdir(), 'varve-security-'));
  try {
    const program = join(folder, 'varve');
    await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'bin', 'varve.js')}" "$@"\n`);
    await chmod(program, 0o755);
    const ports = commands.replaceAll('26257', String(await freePort())).replaceAll('8080', String(await freePort()));
    const script = `set -e\ntrap 'kill $server' EXIT\n${ports.replace(/&$/m, '&\nserver=$!')}`;
    const shell = spawn('sh', ['-c', script], {
      cwd: folder,
      env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
      timeout: 30_000,
    });
    const said: string[] = [];
    for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (chunk) => void said.push(String(chunk)));
    const [status] = await once(shell, 'close');
    const out = said.join('');
    assert.is(status, 0, out);
    assert.match(out, 'CREATE USER');
    assert.match(out, /current_user\nann\n/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test.run();
