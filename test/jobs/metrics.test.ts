/** What jobs count, and how they show while they run. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ToyCluster } from './toyJobs.ts';

const test = suite('job metrics');

/** Those of the toys that are not 0, and of all jobs those named. */
async function shown(toys: ToyCluster, ...others: string[]): Promise<Record<string, number>> {
  const metrics = await toys.kv.metrics.read();
  const named = metrics.filter(({ name, value }) => (name.startsWith('jobs.toy.') && value !== 0) || others.includes(name));
  return Object.fromEntries(named.map(({ name, value }) => [name.replace('jobs.toy.', ''), value]));
}

async function withToys(run: (toys: ToyCluster) => Promise<void>): Promise<void> {
  const toys = new ToyCluster();
  await toys.registry.start();
  try {
    await run(toys);
  } finally {
    toys.close();
  }
}

const job = (steps: string[], revert: string[] = []) => ({ name: 'toy', steps, revert });

test('a job counts as running, as idle while it waits, and once as completed', () =>
  withToys(async (toys) => {
    await toys.create(job(['hold']));
    await toys.create(job(['sleep 10s']));
    await toys.settle();
    assert.equal(await shown(toys, 'jobs.running_non_idle'), { currently_idle: 1, currently_running: 2, 'jobs.running_non_idle': 1 });
    await toys.clock.advance('10s');
    assert.equal(await shown(toys, 'jobs.claimed_jobs', 'jobs.resumed_claimed_jobs'), {
      currently_running: 1,
      'jobs.claimed_jobs': 2,
      'jobs.resumed_claimed_jobs': 2,
      resume_completed: 1,
    });
  }));

test('a paused job does not run, and its stop is neither an end nor a failure', () =>
  withToys(async (toys) => {
    const id = await toys.create(job(['hold']));
    await toys.settle();
    await toys.registry.pause(id);
    await toys.settle();
    assert.equal(await shown(toys), { currently_paused: 1 });
  }));

test('retries, failures and reverts are counted apart; a job that waits to try again does not run', () =>
  withToys(async (toys) => {
    await toys.create(job(['retry 2', 'fail'], ['retry 1']));
    await toys.settle();
    assert.equal(await shown(toys), { resume_retry_error: 1 });
    await toys.clock.advance('1h');
    assert.equal(await shown(toys), {
      fail_or_cancel_completed: 1,
      fail_or_cancel_retry_error: 1,
      resume_failed: 1,
      resume_retry_error: 2,
    });
    await toys.create(job(['fail'], ['fail']));
    await toys.settle();
    assert.equal((await shown(toys))['fail_or_cancel_failed'], 1);
  }));

test('protected timestamps count for the type of the job that holds them', () =>
  withToys(async (toys) => {
    const id = await toys.create(job(['hold']));
    await toys.settle();
    const target = { kind: 'cluster' } as const;
    const held = toys.kv.reading();
    await toys.clock.advance('90s');
    for (const [index, meta] of [String(id), '12345'].entries())
      toys.kv.gc.protections.put({ id: `record ${index}`, ts: held, metaType: 'jobs', meta, target });
    const { protected_age_sec: age = 0, protected_record_count } = await shown(toys);
    assert.is(protected_record_count, 1);
    assert.is(Math.round(age), 90);
  }));

test('a look at the rows that fails is counted, and leaves out what only they tell', () =>
  withToys(async (toys) => {
    toys.registry.listUnfinished = () => Promise.reject(new Error('unreadable'));
    const metrics = await toys.kv.metrics.read();
    const names = metrics.map(({ name }) => name);
    assert.ok(names.includes('jobs.toy.currently_running'));
    assert.not(names.includes('jobs.toy.currently_paused'));
    assert.is((await shown(toys, 'jobs.metrics.task_failed'))['jobs.metrics.task_failed'], 1);
  }));

test('each has the form with labels', () =>
  withToys(async (toys) => {
    const metrics = await toys.kv.metrics.read();
    const form = (name: string) => metrics.find((metric) => metric.name === name)?.labelled;
    assert.equal(form('jobs.toy.currently_running'), { name: 'jobs', labels: { type: 'toy', status: 'currently_running' } });
    assert.equal(form('jobs.toy.currently_paused'), { name: 'jobs', labels: { name: 'toy', status: 'currently_paused' } });
    assert.equal(form('jobs.toy.resume_failed'), { name: 'jobs.resume', labels: { name: 'toy', status: 'failed' } });
    assert.equal(form('jobs.toy.protected_age_sec'), { name: 'jobs.protected_age_sec', labels: { type: 'toy' } });
  }));

test.run();
