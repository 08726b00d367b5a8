/** userfile:// passes the conformance suite; its files are rows, its tables are private, and it heals nothing silently. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { InlineExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { FIRST_USER_ID } from '../../src/catalog/descriptor.ts';
import { tableSpan } from '../../src/catalog/rowCodec.ts';
import { encodeSequenceValue, sequenceKey } from '../../src/catalog/sequences.ts';
import { DESCRIPTOR_ID_SEQUENCE_ID } from '../../src/catalog/systemTables.ts';
import { openKv } from '../../src/kv/localKv.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { CHUNK_BYTES, openUserfile, parseUserfileHost } from '../../src/storage/userfile.ts';
import { storageConformance } from './conformance.ts';

async function newDatabase() {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const kv = openKv({ clock, executor: new InlineExecutor(), ids: new Ids(seededRandom('userfile'), clock) });
  const catalog = new Catalog(kv);
  await kv.run(async (txn) => txn.write([sequenceKey(DESCRIPTOR_ID_SEQUENCE_ID)], [encodeSequenceValue(FIRST_USER_ID)]));
  await kv.run((txn) => catalog.createDatabase(txn, { name: 'defaultdb', owner: 'root' }));
  const open = (uri: string, user = 'root') => openUserfile(ParsedUri.parse(uri), { user, nodeId: 1 }, kv, catalog);
  const tables = async () => {
    const txn = kv.begin({ readOnly: true });
    const snapshot = await catalog.snapshot(txn);
    txn.rollback();
    return snapshot.tablesOf(snapshot.requireDatabase('defaultdb').id);
  };
  const rowCounts = async () => {
    const reader = kv.at(kv.reading());
    const counts: Record<string, number> = {};
    for (const table of await tables()) counts[table.name] = (await reader.scan(tableSpan(table))).keys.length;
    return counts;
  };
  return { kv, catalog, open, tables, rowCounts };
}

const shared = await newDatabase();
let opened = 0;
storageConformance('userfile', {
  open: async () => shared.open(`userfile:///location/${++opened}`),
  reopen: async (storage) => shared.open(storage.uri.unredacted()),
});

const test = suite('userfile storage');
const codeOf = (call: () => unknown): Promise<string> =>
  (async () => call())().then(
    () => 'no error',
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  );

test('hosts: the default by user, the qualified form, quoted parts', () => {
  const host = (uri: string, user = 'root') => Object.values(parseUserfileHost(ParsedUri.parse(uri), user)).join('|');
  assert.is(host('userfile:///p'), 'defaultdb|public|userfiles_root');
  assert.is(host('userfile:///p', 'Max.R'), 'defaultdb|public|userfiles_Max.R');
  assert.is(host('userfile://Bank.public.Files/p'), 'bank|public|files');
  assert.is(host('userfile://defaultdb.public.userfiles_$user/p', 'joe'), 'defaultdb|public|userfiles_joe');
  assert.is(host('userfile://defaultdb."My.Schema"."a""b"/p'), 'defaultdb|My.Schema|a"b');
});

test('a host that is no qualified name is refused', async () => {
  for (const uri of [
    'userfile://files/p',
    'userfile://a.b/p',
    'userfile://a.b.c.d/p',
    'userfile://a..c/p',
    'userfile://a.b.c./p',
    'userfile://a.b."c/p',
  ]) {
    assert.is(await codeOf(() => shared.open(uri)), `22023 host of a userfile URI must be database.schema.prefix: "${uri}"`);
  }
  assert.is(
    await codeOf(() => shared.open('userfile:///a/../b')),
    '22023 path /a/../b changes after normalization to /b. userfile upload does not permit such path constructs',
  );
});

test('tables come with the first write, two a prefix, and hold no leftovers', async () => {
  const { open, rowCounts } = await newDatabase();
  const storage = open('userfile:///c');
  assert.equal(await storage.list(''), []);
  await storage.delete('nothing');
  assert.match(await codeOf(() => storage.read('f')), /^58P01/);
  assert.equal(await rowCounts(), {});
  await storage.write('f', Buffer.alloc(2 * CHUNK_BYTES + 1));
  assert.equal(await rowCounts(), { userfiles_root_upload_files: 1, userfiles_root_upload_payload: 3 });
  await storage.write('f', Buffer.from('short'));
  assert.equal(await rowCounts(), { userfiles_root_upload_files: 1, userfiles_root_upload_payload: 1 });
  async function* failing() {
    yield Buffer.alloc(CHUNK_BYTES + 1);
    throw new Error('source broke');
  }
  assert.is((await storage.write('g', failing()).catch((error: Error) => error.message)) as string, 'source broke');
  assert.match(await codeOf(() => storage.write('f', Buffer.from('x'), { ifAbsent: true })), /^58P02/);
  assert.equal(await rowCounts(), { userfiles_root_upload_files: 1, userfiles_root_upload_payload: 1 });
  await storage.delete('f');
  assert.equal(await rowCounts(), { userfiles_root_upload_files: 0, userfiles_root_upload_payload: 0 });
});

test('ranges fall on either side of chunk boundaries', async () => {
  const { open } = await newDatabase();
  const storage = open('userfile:///');
  const content = Buffer.from(seededRandom('ranges').bytes(2 * CHUNK_BYTES + 10), 'latin1');
  await storage.write('f', content);
  for (const [offset, length] of [
    [CHUNK_BYTES - 1, 2],
    [CHUNK_BYTES, 1],
    [CHUNK_BYTES - 1, CHUNK_BYTES + 2],
    [2 * CHUNK_BYTES, 100],
    [2 * CHUNK_BYTES + 10, 1],
  ] as const) {
    assert.ok(content.subarray(offset, offset + length).equals(await storage.read('f', { offset, length })), `${offset}+${length}`);
  }
});

test('a stream that is being read shows the old file to its end, whatever is written meanwhile', async () => {
  const { open } = await newDatabase();
  const storage = open('userfile:///');
  await storage.write('f', Buffer.alloc(3 * CHUNK_BYTES, 1));
  const seen: number[] = [];
  for await (const piece of storage.readStream('f')) {
    if (seen.length === 0) await storage.write('f', Buffer.alloc(10, 2));
    seen.push(piece[0] ?? -1);
  }
  assert.equal(seen, [1, 1, 1]);
  assert.is((await storage.read('f'))[0], 2);
});

test('the tables are their creator’s: others are refused, and need CREATE to make their own', async () => {
  const { open, tables } = await newDatabase();
  assert.is(
    await codeOf(() => open('userfile:///c', 'joe').write('f', Buffer.from('x'))),
    '42501 user joe does not have CREATE privilege on database defaultdb',
  );
  const host = 'userfile://defaultdb.public.team/c';
  await open(host).write('f', Buffer.from('x'));
  for (const call of [
    () => open(host, 'joe').read('f'),
    () => open(host, 'joe').list(''),
    () => open(host, 'joe').write('f', Buffer.from('y')),
    () => open(host, 'joe').delete('f'),
  ]) {
    assert.match(await codeOf(call), /^42501 user joe does not have (SELECT|INSERT|DELETE) privilege on relation team_upload_files/);
  }
  assert.equal(
    (await tables()).map((table) => table.privileges.owner),
    ['root', 'root'],
  );
});

test('an unknown database or schema, or a table of that name with another shape, is an error', async () => {
  const { open, kv, catalog, tables } = await newDatabase();
  assert.is(
    await codeOf(() => open('userfile://nowhere.public.f/c').write('f', Buffer.from('x'))),
    '3D000 database "nowhere" does not exist',
  );
  assert.is(await codeOf(() => open('userfile://defaultdb.nowhere.f/c').write('f', Buffer.from('x'))), '3F000 unknown schema "nowhere"');
  assert.equal(await open('userfile://nowhere.public.f/c').list(''), []);
  await open('userfile:///c').write('f', Buffer.from('x'));
  const [files] = await tables();
  assert.ok(files);
  const [, second, ...others] = files.columns;
  assert.ok(second);
  const renamed = [files.columns[0] as typeof second, { ...second, name: 'other' }, ...others];
  await kv.run(async (txn) => void catalog.writeDescriptor(txn, { ...files, columns: renamed }));
  assert.is(
    await codeOf(() => open('userfile:///c').read('f')),
    '42809 relation "userfiles_root_upload_files" exists and is not a userfile table',
  );
});

test('chunks changed by hand are corruption, not data', async () => {
  const { open, kv, tables } = await newDatabase();
  const storage = open('userfile:///');
  await storage.write('f', Buffer.alloc(2 * CHUNK_BYTES));
  const payload = (await tables()).find((table) => table.name.endsWith('_payload'));
  assert.ok(payload);
  await kv.run(async (txn) => {
    const { keys } = await txn.scan(tableSpan(payload));
    txn.write([keys[1] as (typeof keys)[0]], [null]);
  });
  assert.match(await codeOf(() => storage.read('f')), `XX001 userfile "f" in "userfile:///" is corrupt at offset ${CHUNK_BYTES}`);
  assert.is((await storage.read('f', { length: 10 })).length, 10);
});

test('concurrent first writes make one pair of tables', async () => {
  const { open, tables, kv } = await newDatabase();
  await Promise.all(Array.from({ length: 4 }, (_, i) => open('userfile:///c').write(`f${i}`, Buffer.from(String(i)))));
  assert.equal((await tables()).map((table) => table.name).sort(), ['userfiles_root_upload_files', 'userfiles_root_upload_payload']);
  assert.equal(await open('userfile:///c').list(''), ['f0', 'f1', 'f2', 'f3']);
  assert.ok((await kv.at(kv.reading()).scan(EVERYTHING)).keys.length > 0);
});

test.run();
