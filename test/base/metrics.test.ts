/** The registry of metrics. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MetricRegistry } from '../../src/base/metrics.ts';

const test = suite('metrics');

test('counters, gauges, functions and sources are read together, by name', async () => {
  const registry = new MetricRegistry();
  const counter = registry.counter({ name: 'b.count', help: 'how many' });
  let known = 3;
  registry.counterOf({ name: 'd.known', help: 'known' }, () => known);
  registry.gauge({ name: 'c.known', help: 'known', labels: { x: '1' } }, () => -known);
  registry.addSource(async () => [{ name: 'b.seen', help: 'seen', type: 'gauge', value: 7 }]);
  counter.add();
  counter.add(4);
  known = 5;
  assert.equal(
    (await registry.read()).map(({ name, type, value }) => `${name} ${type} ${value}`),
    ['b.count counter 5', 'b.seen gauge 7', 'c.known gauge -5', 'd.known counter 5'],
  );
});

test('one name may have several labels, in order', async () => {
  const registry = new MetricRegistry();
  for (const x of ['2', '1']) registry.counter({ name: 'a', help: 'h', labels: { x } });
  assert.equal(
    (await registry.read()).map(({ labels }) => labels),
    [{ x: '1' }, { x: '2' }],
  );
});

test('who registers a metric again goes on with it', async () => {
  const registry = new MetricRegistry();
  registry.counter({ name: 'a', help: 'h' }).add(2);
  registry.counter({ name: 'a', help: 'h' }).add();
  registry.gauge({ name: 'b', help: 'h' }, () => 1);
  registry.gauge({ name: 'b', help: 'h' }, () => 2);
  assert.equal(
    (await registry.read()).map(({ name, value }) => `${name} ${value}`),
    ['a 3', 'b 2'],
  );
  assert.throws(() => registry.gauge({ name: 'a', help: 'h' }, () => 0), /of two types/);
});

test('a counter never shrinks', () => {
  const counter = new MetricRegistry().counter({ name: 'a', help: 'h' });
  assert.throws(() => counter.add(-1), /only grows/);
});

test.run();
