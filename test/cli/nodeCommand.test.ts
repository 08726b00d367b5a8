/** `varve node` against a server in this process: its columns, its formats, and what it does to nodes. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { main } from '../../src/cli/main.ts';
import { Varve } from '../../src/server/varve.ts';

const test = suite('varve node');

const db = await Varve.open({
  clock: new ManualClock('2026-11-20T12:00:00Z'),
  seed: 'node command',
  localities: ['region=eu,zone=a', 'region=eu,zone=b', 'region=us,zone=c'],
});
const server = await db.listen();

async function node(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const io = { out: (text: string) => (out += text), err: (text: string) => (err += text), isTerminal: false, monotonicMicros: () => 0 };
  const status = await main(['node', ...args, '--url', server.url], io);
  return { status, out: out.replaceAll(`${server.host}:${server.port}`, 'HOST'), err };
}

test('lists ids', async () => {
  assert.is((await node('ls')).out, 'id\n1\n2\n3\n');
  assert.is((await node('ls', '--format', 'csv')).out, 'id\n1\n2\n3\n');
});

test('shows the columns of each kind of status', async () => {
  const { out } = await node('status', '2');
  const [header, row] = out.split('\n');
  assert.is(header, 'id\taddress\tsql_address\tbuild\tstarted_at\tupdated_at\tlocality\tis_available\tis_live');
  assert.match(
    row ?? '',
    /^2\tHOST\tHOST\t\d+\.\d+\.\d+\S*\t2026-11-20 12:00:00\t2026-11-20 12:00:00\tregion=eu,zone=b\t(t|true)\t(t|true)$/,
  );
  const all = (await node('status', '--all')).out.split('\n')[0]?.split('\t').slice(9);
  assert.equal(all, [
    'replicas_leaders', 'replicas_leaseholders', 'ranges', 'ranges_unavailable', 'ranges_underreplicated',
    'live_bytes', 'key_bytes', 'value_bytes', 'intent_bytes', 'system_bytes',
    'gossiped_replicas', 'is_decommissioning', 'membership', 'is_draining',
  ]); // biome-ignore format: three lines
});

test('drains, stops and starts a node; leases leave it and ids stay', async () => {
  assert.is((await node('drain', '3')).out, 'node is draining... remaining: 0 (complete)\ndrain ok\n');
  const leases = async (id: string) => Number((await node('status', id, '--ranges')).out.split('\n')[1]?.split('\t')[10]);
  assert.is(await leases('3'), 0);
  assert.match((await node('status', '3')).out, /\t(f|false)\t(f|false)\n$/);
  assert.is((await node('stop', '3')).out, 'node 3 is stopped already\n');
  assert.is((await node('start', '3')).out, 'node 3 started\n');
  assert.match((await node('status', '3')).out, /\t(t|true)\t(t|true)\n$/);
  assert.is((await node('stop', '1')).out, 'node 1 stopped\n');
  assert.is(await leases('1'), 0);
  assert.ok((await leases('2')) > 0);
});

test('begins to decommission a node, takes it back, and takes it out for good', async () => {
  await node('start', '1');
  const header = 'id\tis_live\treplicas\tis_decommissioning\tmembership\tis_draining\n';
  assert.is((await node('decommission', '3', '--wait', 'none')).out, `${header}3\tt\t0\tt\tdecommissioning\tf\n`);
  assert.is((await node('recommission', '3')).out, `${header}3\tt\t0\tf\tactive\tf\n`);
  assert.match((await node('recommission', '3')).err, /can only recommission a decommissioning node; n3 found to be active/);
  const { out } = await node('decommission', '2', '3');
  assert.ok(out.startsWith(`${header}2\tf\t0\tt\tdecommissioned\tf\n3\tf\t0\tt\tdecommissioned\tf\n`), out);
  assert.match(out, /No more data reported on target nodes/);
  assert.match((await node('recommission', '3')).err, /n3 found to be decommissioned/);
  assert.match((await node('start', '3')).err, /node 3 was decommissioned/);
  assert.match((await node('decommission', '1')).err, /no other node is live to take over/);
  assert.match((await node('status', '3', '--decommission')).out, /\tt\tdecommissioned\tf\n$/);
});

test('says what is wrong', async () => {
  for (const [args, said] of [
    [['status', '9'], /node 9 does not exist/],
    [['drain', '9'], /there is no node 9/],
    [['drain'], /want the id of a node/],
    [['decommission'], /want the id of a node/],
    [['decommission', '1', '--wait', 'live'], /--wait wants all or none/],
    [['drain', '1', '2'], /unexpected argument "2"/],
    [['drain', 'x'], /want the id of a node, got "x"/],
    [['dance'], /unknown action "dance"/],
    [['ls', '--format', 'x'], /unknown format "x"/],
  ] as const) {
    const { status, err } = await node(...args);
    assert.is(status, 1);
    assert.match(err, said);
  }
});

test.after(async () => {
  await server.close();
  await db.close();
});
test.run();
