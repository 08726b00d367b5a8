/**
 * VERIFY BACKUP finds every single fault that is planted in a chain, also where all checksums were made to fit
 * it, and finds none where there is none. Chains are of random histories; faults hit a random version.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { isVarveError, type VarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { withTestFault } from '../../src/base/testFaults.ts';
import { type Chain, loadChain } from '../../src/backup/chain.ts';
import { readLatest } from '../../src/backup/collection.ts';
import { type CollectionStorage, collectionAt } from '../../src/backup/collectionStorage.ts';
import { readDataFile } from '../../src/backup/dataFileReader.ts';
import { writeDataFile } from '../../src/backup/dataFileWriter.ts';
import { countsOf, type Layer, type ManifestFile, type ManifestFilePart, writeManifest } from '../../src/backup/manifest.ts';
import { VersionsFingerprint } from '../../src/backup/partFingerprint.ts';
import { indexOfKey } from '../../src/kv/indexOfKey.ts';
import { FileCursor } from '../../src/restore/fileCursor.ts';
import { allVersions } from '../../src/restore/verify/allVersions.ts';
import { verifyBackup, type VerifyReport } from '../../src/restore/verify/verifyBackup.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('verify backup');
const executor = new InlineExecutor();

type Version = readonly [key: Bytes, time: Timestamp, value: Bytes | null];

/** A chain of three layers over a table with an index and a second column family. */
async function makeChain(seed: string, options = ''): Promise<{ db: TestDatabase; storage: CollectionStorage }> {
  const random = seededRandom(seed);
  const db = await TestDatabase.open({ seed });
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (a INT PRIMARY KEY, b STRING, c STRING, INDEX (b), FAMILY f1 (a, b), FAMILY f2 (c))',
    'CREATE TABLE d.other (a INT PRIMARY KEY)',
    'INSERT INTO d.other VALUES (1)',
  );
  for (let layer = 0; layer < 3; layer++) {
    for (let i = 0; i < 8; i++) {
      const a = random.int(12);
      if (random.int(4) === 0) await db.run(`DELETE FROM d.t WHERE a = ${a}`);
      else await db.run(`UPSERT INTO d.t VALUES (${a}, 'b${random.int(1000)}', 'c${random.int(1000)}')`);
      await db.clock.advance('1s');
    }
    const history = random.int(2) === 0 ? ' WITH revision_history' : '';
    await db.run(`BACKUP DATABASE d INTO ${layer === 0 ? '' : 'LATEST IN '}'${COLLECTION}'${options || history}`);
  }
  return { db, storage: collectionAt(db.db.storage.open(COLLECTION, { user: 'root', nodeId: 1 })) };
}

async function chainOf(storage: CollectionStorage): Promise<Chain> {
  return await loadChain(storage, await readLatest(storage));
}

async function verify(db: TestDatabase, storage: CollectionStorage): Promise<VerifyReport> {
  const chain = await chainOf(storage);
  return await verifyBackup(chain, undefined, { storage, executor, clock: db.clock, signal: new AbortController().signal });
}

async function versionsOf(storage: CollectionStorage, { directory }: Layer, file: ManifestFile): Promise<Version[]> {
  const versions: Version[] = [];
  for await (const { keys, timestamps, values } of readDataFile(storage, `${directory}/${file.path}`, file, { executor })) {
    keys.forEach((key, i) => {
      versions.push([key, timestamps[i] as Timestamp, values[i] ?? null]);
    });
  }
  return versions;
}

/** Writes a file anew, and every manifest so that each digest and count fits it. */
async function replaceFile(
  storage: CollectionStorage,
  chain: Chain,
  at: { layer: number; file: number },
  versions: readonly Version[],
  forgesVersions = false,
): Promise<void> {
  let parentSha = '';
  for (const [i, { directory, manifest }] of chain.entries()) {
    let { files } = manifest;
    if (i === at.layer) {
      const old = files[at.file] as ManifestFile;
      await storage.delete(`${directory}/${old.path}`);
      async function* runs() {
        yield {
          keys: versions.map(([key]) => key),
          timestamps: versions.map(([, time]) => time),
          values: versions.map(([, , value]) => value),
        };
      }
      const { sizeBytes, sha256 } = await writeDataFile(storage, `${directory}/${old.path}`, runs(), { executor });
      const parts = old.parts.map((part) => recounted(part, versions, forgesVersions));
      files = files.map((file, n) => (n === at.file ? { ...old, sizeBytes, sha256, parts } : file));
    }
    const parent = manifest.parent && { ...manifest.parent, manifestSha256: parentSha };
    for (const name of ['BACKUP_MANIFEST', 'BACKUP_MANIFEST-CHECKSUM']) await storage.delete(`${directory}/${name}`);
    parentSha = await writeManifest(storage, directory, { ...manifest, files, entryCounts: countsOf(files), parent });
  }
}

function recounted(part: ManifestFilePart, all: readonly Version[], forgesVersions: boolean): ManifestFilePart {
  const versions = all.filter(([key]) => part.span.key <= key && key < part.span.endKey);
  const { indexId, length } = indexOfKey(part.span.key);
  const count = versions.filter(([key, , value]) => value !== null && (indexId !== 1 || key.endsWith('\x88'))).length;
  const sum = new VersionsFingerprint(length);
  const run = {
    keys: versions.map(([key]) => key),
    timestamps: versions.map(([, time]) => time),
    values: versions.map(([, , value]) => value),
  };
  sum.add(run, 0, versions.length);
  return {
    ...part,
    rows: indexId === 1 ? count : 0,
    indexEntries: indexId === 1 ? 0 : count,
    dataBytes: versions.reduce((bytes, [key, , value]) => bytes + key.length + (value?.length ?? 0), 0),
    ...(part.fingerprint && forgesVersions && { fingerprint: { ...part.fingerprint, versions: sum.sum.toHex() } }),
  };
}

interface Target {
  readonly layer: number;
  readonly file: number;
  readonly versions: Version[];
  /** The version that the fault hits. */
  readonly index: number;
  readonly part: ManifestFilePart;
}

async function pick(random: Random, storage: CollectionStorage, chain: Chain): Promise<Target> {
  const layer = random.int(chain.length);
  const { files } = (chain[layer] as Layer).manifest;
  const file = random.int(files.length);
  const versions = await versionsOf(storage, chain[layer] as Layer, files[file] as ManifestFile);
  const index = random.int(versions.length);
  const [key] = versions[index] as Version;
  const part = (files[file] as ManifestFile).parts.find(({ span }) => span.key <= key && key < span.endKey) as ManifestFilePart;
  return { layer, file, versions, index, part };
}

/** Each gives the versions with one fault, or undefined where it does not apply. */
const FAULTS: Readonly<Record<string, (target: Target, random: Random) => Version[] | undefined>> = {
  'a byte of a value': ({ versions, index }, random) => {
    const [key, time, value] = versions[index] as Version;
    if (!value) return undefined;
    const at = random.int(value.length);
    const flipped = String.fromCharCode(value.charCodeAt(at) ^ (1 << random.int(8)));
    return versions.with(index, [key, time, (value.slice(0, at) + flipped + value.slice(at + 1)) as Bytes]);
  },
  'a missing version': ({ versions, index, part }) => {
    const left = versions.toSpliced(index, 1);
    return left.some(([key]) => part.span.key <= key && key < part.span.endKey) ? left : undefined;
  },
  'a row from another time': ({ versions, index, part }) => {
    const [key, time, value] = versions[index] as Version;
    const taken = new Set(versions.filter(([other]) => other === key).map(([, other]) => other));
    const other = [time - 1, time + 1].find((at) => at > part.startTime && at <= part.endTime && !taken.has(at as Timestamp));
    return other === undefined ? undefined : versions.with(index, [key, other as Timestamp, value]);
  },
  'a deletion in the place of a value': ({ versions, index }) => {
    const [key, time, value] = versions[index] as Version;
    return value === null ? undefined : versions.with(index, [key, time, null]);
  },
  'a value in the place of a deletion': ({ versions, index }) => {
    const [key, time, value] = versions[index] as Version;
    return value === null ? versions.with(index, [key, time, 'v' as Bytes]) : undefined;
  },
  'another key': ({ versions, index, part }) => {
    const [key, time, value] = versions[index] as Version;
    const other = (key.slice(0, -1) + String.fromCharCode(key.charCodeAt(key.length - 1) ^ 1)) as Bytes;
    if (other < part.span.key || other >= part.span.endKey || versions.some(([one]) => one === other)) return undefined;
    return versions.with(index, [other, time, value]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  },
};

/** What the recorded changes tell even when the sum over versions was forged too: anything that a reader sees at a recorded time. */
const SEEN_BY_READERS = new Set(['a byte of a value', 'another key']);

for (const [name, plant] of Object.entries(FAULTS)) {
  test(`finds ${name}`, async () => {
    const random = seededRandom(name);
    let planted = 0;
    for (let round = 0; planted < 5; round++) {
      const { db, storage } = await makeChain(`${name} ${round % 8}`);
      const chain = await chainOf(storage);
      const target = await pick(random, storage, chain);
      const versions = plant(target, random);
      if (versions !== undefined) {
        planted++;
        const forges = SEEN_BY_READERS.has(name) && planted % 2 === 0;
        await replaceFile(storage, chain, target, versions, forges);
        const { faults, tables } = await verify(db, storage);
        assert.ok(faults.length > 0, `${name} in round ${round} was not found`);
        for (const fault of faults) assert.is(fault.code, 'XX001');
        const { directory, manifest } = chain[target.layer] as Layer;
        const file = `${directory}/${(manifest.files[target.file] as ManifestFile).path}`;
        assert.ok(
          faults.some((fault) => (fault as { file?: string }).file === file || fault.message.includes(file)),
          `${name}: ${faults[0]?.message}`,
        );
        assert.ok(
          tables.some(({ status }) => status === 'corrupt'),
          'a table is told to be corrupt',
        );
      }
      await db.close();
    }
  });
}

test('finds nothing where nothing is wrong, and writes nothing', async () => {
  for (let round = 0; round < 8; round++) {
    const { db, storage } = await makeChain(`sound ${round}`);
    const before = [await storage.list(''), await db.traces()];
    const { faults, tables } = await verify(db, storage);
    assert.equal(faults, []);
    assert.ok(tables.every(({ status, fingerprint, times }) => status === 'ok' && fingerprint !== undefined && times >= 0));
    assert.equal([await storage.list(''), await db.traces()], before);
    await db.close();
  }
});

test('a version that the export itself lost is missed, for it replaced one that was exported', async () => {
  const db = await TestDatabase.open();
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (a INT PRIMARY KEY, b STRING)', "INSERT INTO d.t VALUES (1, 'first')");
  await db.run(`BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`);
  for (let i = 0; i < 8; i++) await db.run(`UPDATE d.t SET b = repeat('${i}', 40)`);
  await withTestFault('a101963', () => db.run(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history`));
  assert.match(
    await db.error(`VERIFY BACKUP FROM LATEST IN '${COLLECTION}'`),
    /^XX001 the restored history is not what was backed up: what changed in d.public.t/,
  );
  await db.close();
});

test('reads backups without fingerprints, and says so', async () => {
  const { db, storage } = await makeChain('older');
  const chain = await chainOf(storage);
  let parentSha = '';
  for (const { directory, manifest } of chain) {
    const files = manifest.files.map((file) => ({ ...file, parts: file.parts.map(({ fingerprint: _, ...part }) => part) }));
    for (const name of ['BACKUP_MANIFEST', 'BACKUP_MANIFEST-CHECKSUM']) await storage.delete(`${directory}/${name}`);
    const parent = manifest.parent && { ...manifest.parent, manifestSha256: parentSha };
    parentSha = await writeManifest(storage, directory, { ...manifest, files, parent });
  }
  const rows = await db.rows(`SELECT DISTINCT times_checked, status FROM [VERIFY BACKUP FROM LATEST IN '${COLLECTION}'] WHERE rows > 0`);
  assert.equal(rows, [['0', 'ok, without fingerprints']]);
  await db.close();
});

test('layers of the older statements are verified and attached by their places', async () => {
  const db = await TestDatabase.open();
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (a INT PRIMARY KEY)',
    'INSERT INTO d.t VALUES (1)',
    "BACKUP DATABASE d TO 'mem://bucket/monday'",
  );
  await db.clock.advance('1s');
  await db.run('INSERT INTO d.t VALUES (2)', "BACKUP DATABASE d TO 'mem://bucket/tuesday' INCREMENTAL FROM 'mem://bucket/monday'");
  const from = "FROM 'mem://bucket/monday', 'mem://bucket/tuesday'";
  assert.equal(await db.rows(`SELECT backup_type, rows, status FROM [VERIFY BACKUP ${from}] WHERE table_name = 'd.public.t'`), [
    ['full', '1', 'ok'],
    ['incremental', '1', 'ok'],
  ]);
  await db.run(`ATTACH BACKUP ${from} AS old`, "ATTACH BACKUP FROM 'mem://bucket/monday' AS older");
  assert.equal(await db.rows('SELECT (SELECT count(*) FROM old.public.t), (SELECT count(*) FROM older.public.t)'), [['2', '1']]);
  assert.match(await db.error("VERIFY BACKUP FROM 'mem://bucket/tuesday'"), /^(22023|58P01|XX001) /);
  await db.close();
});

test('a missing file, a truncated one and a foreign one are named, and the rest is still proved', async () => {
  const { db, storage } = await makeChain('files');
  const [full, second] = await chainOf(storage);
  const name = `${full.directory}/${full.manifest.files[0]?.path}`;
  const content = Buffer.from(await storage.read(name));
  const foreign = Buffer.from(await storage.read(`${second?.directory}/${second?.manifest.files[0]?.path}`));
  const errorOf = async (): Promise<VarveError> => {
    try {
      await db.rows(`VERIFY BACKUP FROM LATEST IN '${COLLECTION}'`);
    } catch (error) {
      if (isVarveError(error)) return error;
    }
    throw new Error('no error');
  };
  for (const [code, bytes] of [
    ['58P01', undefined],
    ['XX001', content.subarray(0, -1)],
    ['XX001', foreign],
  ] as const) {
    await storage.delete(name);
    if (bytes) await storage.write(name, bytes);
    const error = await errorOf();
    assert.is(error.code, code);
    assert.ok(`${error.message} ${error.detail}`.includes(name), error.message);
  }
  await storage.delete(name);
  await storage.write(name, content);
  assert.ok((await db.rows(`VERIFY BACKUP FROM LATEST IN '${COLLECTION}'`)).length > 0);
  await db.close();
});

test('a manifest that was read before is read again, and is not what it was', async () => {
  const { db, storage } = await makeChain('known');
  const from = `FROM LATEST IN '${COLLECTION}'`;
  const statements = [`VERIFY BACKUP ${from}`, `RESTORE DATABASE d ${from} WITH new_db_name = 'x', verify_backup_table_data, schema_only`];
  await db.run(...statements, 'DROP DATABASE x CASCADE');
  const validation = async () => String((await db.rows(`SHOW BACKUP VALIDATE ${from}`))[0]);
  assert.not.match(await validation(), 'ERROR');
  for (const { directory } of await chainOf(storage)) {
    const name = `${directory}/BACKUP_MANIFEST`;
    const content = await storage.read(name);
    await storage.write(name, content.with(50, (content[50] as number) ^ 4));
    for (const sql of [...statements, `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`]) {
      assert.match(await db.error(sql), `XX001 backup file "${name}" is corrupt`, sql);
    }
    await storage.write(name, content);
  }
  await db.run(...statements);
  await db.close();
});

test('AS OF SYSTEM TIME reads the layers that the time needs, and refuses a time that no layer holds', async () => {
  const { db, storage } = await makeChain('as of', ' WITH revision_history');
  const [full] = await chainOf(storage);
  const at = full.manifest.endTime;
  const rows = await db.rows(
    `SELECT DISTINCT backup_type FROM [VERIFY BACKUP FROM LATEST IN '${COLLECTION}' AS OF SYSTEM TIME '${at}000']`,
  );
  assert.equal(rows, [['full']]);
  assert.match(
    await db.error(`VERIFY BACKUP FROM LATEST IN '${COLLECTION}' AS OF SYSTEM TIME '${full.manifest.revisionStartTime - 1}000'`),
    /^22023 supplied backups do not cover requested time/,
  );
  await db.close();
});

test('all versions of several files come in order, each key in one run, whatever the blocks', async () => {
  const random = seededRandom('all versions');
  for (let round = 0; round < 6; round++) {
    const storage = collectionAt(openMemory(ParsedUri.parse('mem://b'), new MemoryFiles()));
    const expected: Version[] = [];
    const cursors: FileCursor[] = [];
    const fileCount = 1 + (round % 3);
    const all = { key: 'k' as Bytes, endKey: 'l' as Bytes };
    for (let n = 0; n < fileCount; n++) {
      const versions: Version[] = [];
      for (let k = 0; k < 4000; k++) {
        if (random.int(4) === 0) continue;
        for (let v = random.int(4); v >= 0; v--)
          versions.push([`k${String(k).padStart(5, '0')}` as Bytes, (n * 10 + v + 1) as Timestamp, null]);
      }
      expected.push(...versions);
      async function* runs() {
        yield {
          keys: versions.map(([key]) => key),
          timestamps: versions.map(([, time]) => time),
          values: versions.map(([, , value]) => value),
        };
      }
      const written = await writeDataFile(storage, `f${n}`, runs(), { executor, blockTargetBytes: 1 + random.int(3000) });
      const part = {
        span: all,
        startTime: 0 as Timestamp,
        endTime: 100 as Timestamp,
        rows: 0,
        indexEntries: 0,
        dataBytes: written.dataBytes,
      };
      const file: ManifestFile = { path: `f${n}`, sizeBytes: written.sizeBytes, sha256: written.sha256, locality: '', parts: [part] };
      const layerFile = { name: `f${n}`, directory: '', file, cipher: undefined };
      cursors.push(new FileCursor(layerFile, false, { storage, executor, signal: new AbortController().signal }));
    }
    for (const cursor of cursors) await cursor.enter(all);
    const found: Version[] = [];
    let last: Bytes | undefined;
    for await (const { keys, timestamps, values } of allVersions(cursors)) {
      assert.is.not(keys[0], last, 'a key in two runs');
      last = keys.at(-1);
      keys.forEach((key, i) => {
        found.push([key, timestamps[i] as Timestamp, values[i] ?? null]);
      });
    }
    for (const cursor of cursors) await cursor.close();
    expected.sort(([a, s], [b, t]) => (a < b ? -1 : a > b ? 1 : t - s));
    assert.ok(JSON.stringify(found) === JSON.stringify(expected), `round ${round}: ${found.length} of ${expected.length} versions`);
  }
});

test('a cancel ends it', async () => {
  const { db, storage } = await makeChain('cancel');
  const chain = await chainOf(storage);
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  try {
    await verifyBackup(chain, undefined, { storage, executor, clock: db.clock, signal: stop.signal });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'enough');
  }
  await db.close();
});

test.run();
