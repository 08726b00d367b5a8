/** The HTTP address, asked over a real socket. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MetricRegistry } from '../../src/base/metrics.ts';
import { startHttpServer } from '../../src/server/httpServer.ts';
import { metricsText } from '../../src/server/metricsText.ts';

const test = suite('http');

test('health, readiness, metrics, and nothing else', async () => {
  let ready = true;
  const metrics = new MetricRegistry();
  metrics.gauge(
    {
      name: 'jobs.backup.currently_running',
      help: 'Backups that run now',
      labelled: { name: 'jobs', labels: { type: 'backup', status: 'currently_running' } },
    },
    () => 2,
  );
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    isReady: () => ready,
    metrics,
  });
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  try {
    assert.is((await ask('/health')).status, 200);
    assert.is((await ask('/health?ready=1')).status, 200);
    ready = false;
    assert.is((await ask('/health?ready=1')).status, 503);
    assert.is((await ask('/health')).status, 200);
    const scraped = await ask('/_status/vars');
    assert.match(scraped.headers.get('content-type') ?? '', 'version=0.0.4');
    assert.match(await scraped.text(), 'jobs_backup_currently_running{node_id="1"} 2\n');
    const labelled = await (await ask('/metrics')).text();
    assert.match(labelled, 'jobs{node_id="1",tenant="system",type="backup",status="currently_running"} 2\n');
    assert.is((await ask('/nowhere')).status, 404);
    assert.is((await ask('/health', 'POST')).status, 405);
    assert.is((await ask('//')).status, 400);
  } finally {
    await server.close();
  }
});

test('metrics of both types under one name with labels are gauges', async () => {
  const labelled = (status: string) => ({ name: 'schedules', labels: { status } });
  const { body } = await metricsText(
    [
      { name: 'schedules.failed', type: 'counter', help: 'failed', labelled: labelled('failed'), value: 1 },
      { name: 'schedules.lead', type: 'gauge', help: 'lead', labelled: labelled('lead'), value: -2 },
    ],
    'labels',
  );
  assert.match(body, '# TYPE schedules gauge\n');
  assert.match(body, 'schedules{node_id="1",tenant="system",status="failed"} 1\n');
  assert.match(body, 'schedules{node_id="1",tenant="system",status="lead"} -2\n');
});

test('an address that is taken is an error, not a silence', async () => {
  const options = { host: '127.0.0.1', isReady: () => true, metrics: new MetricRegistry() };
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

test('names lose their dots and dashes, keep their case, and share a head; help and labels are escaped', async () => {
  const labels = { x: 'q"\\\n' };
  const { body } = await metricsText(
    [
      { name: 'a-B.c', type: 'counter', help: 'two\nlines', labels, value: 1 },
      { name: 'd', type: 'gauge', help: 'one', value: -0.5 },
      { name: 'a-B.c', type: 'counter', help: 'two\nlines', value: 1e15 },
    ],
    'names',
  );
  assert.is(
    body.trim().replaceAll('\n\n', '\n'),
    [
      '# HELP a_B_c two\\nlines',
      '# TYPE a_B_c counter',
      'a_B_c{node_id="1",x="q\\"\\\\\\n"} 1',
      'a_B_c{node_id="1"} 1000000000000000',
      '# HELP d one',
      '# TYPE d gauge',
      'd{node_id="1"} -0.5',
    ].join('\n'),
  );
});

test.run();
