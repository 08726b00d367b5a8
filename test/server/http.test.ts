/** The HTTP address, asked over a real socket. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { startHttpServer } from '../../src/server/httpServer.ts';
import { formatPrometheus } from '../../src/server/prometheusText.ts';

const test = suite('http');

test('health, readiness, metrics, and nothing else', async () => {
  let ready = true;
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    isReady: () => ready,
    collectors: [
      () => [
        {
          name: 'jobs.backup.currently_running',
          type: 'gauge',
          help: 'Backups that run now',
          samples: [{ labels: { node_id: 1 }, value: 2 }],
        },
      ],
    ],
  });
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  try {
    assert.is((await ask('/health')).status, 200);
    assert.is((await ask('/health?ready=1')).status, 200);
    ready = false;
    assert.is((await ask('/health?ready=1')).status, 503);
    assert.is((await ask('/health')).status, 200);
    const metrics = await ask('/_status/vars');
    assert.match(metrics.headers.get('content-type') ?? '', 'version=0.0.4');
    assert.match(await metrics.text(), 'jobs_backup_currently_running{node_id="1"} 2\n');
    assert.is((await ask('/nowhere')).status, 404);
    assert.is((await ask('/health', 'POST')).status, 405);
    assert.is((await ask('//')).status, 400);
  } finally {
    await server.close();
  }
});

test('an address that is taken is an error, not a silence', async () => {
  const options = { host: '127.0.0.1', isReady: () => true, collectors: [] };
  const first = await startHttpServer({ ...options, port: 0 });
  try {
    await startHttpServer({ ...options, port: first.port });
    assert.unreachable('listened twice');
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, 'EADDRINUSE');
  } finally {
    await first.close();
  }
});

test('labels and help are escaped, and samples of one name share a head', () => {
  const text = formatPrometheus([
    { name: 'a-b.c', type: 'counter', help: 'two\nlines', samples: [{ labels: { x: 'q"\\\n' }, value: 1 }] },
    { name: 'a-b.c', type: 'counter', help: 'two\nlines', samples: [{ value: Number.POSITIVE_INFINITY }] },
  ]);
  assert.is(text, '# HELP a_b_c two\\nlines\n# TYPE a_b_c counter\na_b_c{x="q\\"\\\\\\n"} 1\na_b_c +Inf\n');
});

test.run();
