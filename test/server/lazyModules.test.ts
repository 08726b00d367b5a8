/**
 * What a start loads: a database without certificates, and its servers, leave Node's TLS and HTTP client alone,
 * which cost more than all of Node's own start.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const url = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, '..', '..', 'src', path)).href);

const SCRIPT = `
  const { open } = await import(${url('index.ts')});
  const { startHttpServer } = await import(${url('server/httpServer.ts')});
  const { MetricRegistry } = await import(${url('base/metrics.ts')});
  const db = await open();
  await db.query('SELECT 1');
  const pg = await db.listen({ port: 0 });
  const http = await startHttpServer({ host: '127.0.0.1', port: 0, isReady: () => true, metrics: new MetricRegistry() });
  await http.close();
  await pg.close();
  await db.close();
  process.stdout.write(JSON.stringify(process.moduleLoadList));
`;

const test = suite('lazy modules');

test('a database and its servers without certificates load neither TLS nor an HTTP client', () => {
  const out = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', SCRIPT], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  const loaded = JSON.parse(out) as string[];
  assert.ok(loaded.includes('NativeModule http'), 'the list names modules as this test expects');
  for (const name of ['tls', 'https', 'internal/deps/undici/undici']) {
    assert.not.ok(loaded.includes(`NativeModule ${name}`), `${name} is not loaded`);
  }
});

test.run();
