/** The registry of metrics. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MetricRegistry } from '../../src/base/metrics.ts';

const test = suite('metrics');

test('counters, gauges, functions and sources are read together, by name', async () => {
  const registry = new MetricRegistry();
  const counter = registry.counter({ name: 'b.count', help: 'how many' });
  const gauge = registry.gauge({ name: 'a.now', help: 'now', labelled: { name: 'a', labels: { status: 'now' } } });
  let known = 3;
  registry.counterOf({ name: 'd.known', help: 'known' }, () => known);
  registry.gaugeOf({ name: 'c.known', help: 'known', labels: { x: '1' } }, () => -known);
  registry.addSource(async () => [{ name: 'b.seen', help: 'seen', type: 'gauge', value: 7 }]);
  counter.add();
  counter.add(4);
  gauge.add(2);
  gauge.add(-3);
  known = 5;
  assert.equal(
    (await registry.read()).map(({ name, type, value }) => `${name} ${type} ${value}`),
    ['a.now gauge -1', 'b.count counter 5', 'b.seen gauge 7', 'c.known gauge -5', 'd.known counter 5'],
  );
});

test('one name may have several labels, but the same ones only once', async () => {
  const registry = new MetricRegistry();
  for (const x of ['2', '1']) registry.counter({ name: 'a', help: 'h', labels: { x } });
  assert.equal(
    (await registry.read()).map(({ labels }) => labels),
    [{ x: '1' }, { x: '2' }],
  );
  assert.throws(() => registry.counter({ name: 'a', help: 'h', labels: { x: '2' } }), /registered twice/);
});

test('a counter never shrinks', () => {
  const counter = new MetricRegistry().counter({ name: 'a', help: 'h' });
  assert.throws(() => counter.add(-1), /only grows/);
});

test.run();
