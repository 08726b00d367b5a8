/** Names in a collection: times to directories and back, listings, LATEST. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { VarveError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import {
  dataFileName,
  decodeLock,
  directoryTime,
  encodeLock,
  fullDirectory,
  fullDirectoryTime,
  incrementalDirectory,
  incrementalDirectoryTime,
  latestName,
  listFulls,
  listIncrementals,
  listLocks,
  lockName,
  parseSubdirectory,
  readLatest,
  writeLatest,
} from '../../src/backup/collection.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';

const test = suite('collection');
const newStorage = () => openMemory(ParsedUri.parse('mem://b/c'), new MemoryFiles());
const micros = (text: string) => {
  const [seconds = '', fraction = ''] = text.split('.');
  return (Date.parse(`${seconds}Z`) * 1000 + Number(fraction.padEnd(6, '0'))) as Timestamp;
};

// The examples of CockroachDB's documentation.
test('hundredths are truncated, never rounded', () => {
  assert.is(fullDirectory(micros('2022-04-07T14:23:55.33557')), '2022/04/07-142355.33');
  assert.is(fullDirectory(micros('2022-04-07T14:26:01.699694')), '2022/04/07-142601.69');
  assert.is(fullDirectory(micros('2020-09-15T16:14:44.991631')), '2020/09/15-161444.99');
  assert.is(fullDirectory(micros('2022-12-31T23:59:59.999999')), '2022/12/31-235959.99');
  assert.is(
    incrementalDirectory('2022/04/07-142355.33', micros('2022-04-08T06:00:00.000001')),
    'incrementals/2022/04/07-142355.33/20220408/060000.00',
  );
});

test('directories sort as their times do, and give them back to the hundredth', () => {
  const time = fc.integer({ min: 0, max: 8_000_000_000_000_000 }).map((n) => n as Timestamp);
  fc.assert(
    fc.property(time, time, (a, b) => {
      const [x, y] = [fullDirectory(a), fullDirectory(b)];
      assert.is(fullDirectoryTime(x), directoryTime(a));
      assert.is(x < y, directoryTime(a) < directoryTime(b));
      const incremental = incrementalDirectory(x, b).slice(`incrementals/${x}/`.length);
      assert.is(incrementalDirectoryTime(incremental), directoryTime(b));
      assert.is(latestName(a) < latestName(b), a > b);
    }),
  );
});

test("a user's name of a backup has the form that BACKUP gives", () => {
  for (const text of ['2022/04/07-142355.33', '/2022/04/07-142355.33', '2022/04/07-142355.33/']) {
    assert.is(parseSubdirectory(text), '2022/04/07-142355.33');
  }
  for (const text of [
    '',
    'x',
    '2022/4/7-142355.33',
    '2022/02/31-000000.00',
    '2022/13/01-000000.00',
    '2022/04/07-242355.33',
    '../2022/04/07-142355.33',
  ]) {
    assert.throws(
      () => parseSubdirectory(text),
      (error: VarveError) => error.code === '22023',
    );
  }
});

test('only completed layers are listed, oldest first', async () => {
  const storage = newStorage();
  const put = (name: string) => storage.write(name, Buffer.from('x'));
  const layer = async (directory: string) => {
    await put(`${directory}/BACKUP_MANIFEST`);
    await put(`${directory}/BACKUP_MANIFEST-CHECKSUM`);
  };
  assert.equal(await listFulls(storage), []);
  await layer('2022/04/07-142355.33');
  await layer('2021/12/31-235959.99');
  await put('2023/01/01-000000.00/BACKUP_MANIFEST');
  await put('2023/01/02-000000.00/data/1-1-000001.vkv');
  await layer('2022/04/named-by-hand');
  await layer('x/y');
  await put('2022/04/07-142355.33/data/1-1-000001.vkv');
  assert.equal(await listFulls(storage), ['2021/12/31-235959.99', '2022/04/07-142355.33']);

  const root = 'incrementals/2022/04/07-142355.33';
  await layer(`${root}/20220408/060000.00`);
  await layer(`${root}/20220407/180000.00`);
  await put(`${root}/20220409/060000.00/BACKUP-LOCK-1`);
  await layer('incrementals/2022/04/07-142355.34/20220408/070000.00');
  assert.equal(await listIncrementals(storage, '2022/04/07-142355.33'), [`${root}/20220407/180000.00`, `${root}/20220408/060000.00`]);
});

test('LATEST is the newest full by its own time, whoever finishes last', async () => {
  const storage = newStorage();
  const missing = await readLatest(storage).catch((error: VarveError) => error);
  assert.is((missing as VarveError).message, 'path does not contain a completed latest backup');
  assert.is((missing as VarveError).code, '58P01');
  const [older, newer] = [micros('2022-04-07T14:23:55.33'), micros('2022-04-08T00:00:00')];
  await writeLatest(storage, fullDirectory(newer), newer);
  await writeLatest(storage, fullDirectory(older), older);
  assert.is(await readLatest(storage), '2022/04/08-000000.00');
  await storage.write(latestName(newer), Buffer.from('2022/../../etc'));
  assert.is(((await readLatest(storage).catch((error: VarveError) => error)) as VarveError).code, 'XX001');
});

test('locks and data files carry the job id', async () => {
  const storage = newStorage();
  const lock = { clusterId: 'c', jobId: '1106', node: 2 };
  await storage.write(lockName('d', '1106'), encodeLock(lock));
  assert.equal(await listLocks(storage, 'd'), ['1106']);
  assert.equal(decodeLock(await storage.read('d/BACKUP-LOCK-1106')), lock);
  assert.is(decodeLock(Buffer.from('{"jobId": 5}')), undefined);
  assert.is(decodeLock(Buffer.from('\xff')), undefined);
  assert.is(dataFileName('1106', 2, 17), 'data/1106-2-000017.vkv');
});

test.run();
