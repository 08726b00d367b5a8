/**
 * Every file of a chain, in every position, in every way that a file can go bad: gone, cut short, with a flipped bit in
 * any region, replaced by another file of its kind (of another layer, of another cluster's backup of the same tables),
 * written by a later version. A restore then either names the file in its error, or is right to the last row: what
 * nothing depends on (index, pointers that the index knows, statistics, manifests of compacted layers) may be lost. The
 * same with encryption, with compacted layers, and with files in places by locality.
 */
import { crc32 } from 'node:zlib';
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { FOOTER_BYTES } from '../../src/backup/dataFile.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { runs } from '../support/depth.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('bad files');

/** What an error about a bad file may be: damage, a missing file, a later version, and with encryption a key that does not fit. */
const CODES = ['XX001', '58P01', '0A000'];

/** What the chain is besides. */
interface Form {
  /** `kms = ...`; '' for none. */
  readonly secret: string;
  /** The incrementals are merged into one, from which the last moment is restored. */
  readonly isCompacted?: boolean;
  /** Each node's files have a place of their own. */
  readonly isPartitioned?: boolean;
}

const PLACES = `('${COLLECTION}?COCKROACH_LOCALITY=default', '${COLLECTION}-west?COCKROACH_LOCALITY=region%3Dwest')`;

/** A chain of three layers: a full, two incrementals, one with history; indexes, statistics and a table of its own for each layer. */
async function backedUp(files: MemoryFiles, seed: string, { secret, isCompacted, isPartitioned }: Form): Promise<TestDatabase> {
  const database = await TestDatabase.open({ files, seed, ...(isPartitioned && { localities: ['region=east', 'region=west'] }) });
  await database.run(
    'CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, v STRING, INDEX (v)); CREATE TABLE u (id INT PRIMARY KEY)',
    'INSERT INTO t SELECT i, md5(i::STRING) FROM generate_series(1, 40) AS g(i); INSERT INTO u VALUES (1)',
    'CREATE STATISTICS s ON v FROM t',
  );
  if (isPartitioned) await database.run('ALTER TABLE t SPLIT AT VALUES (20); ALTER TABLE t RELOCATE LEASE VALUES (1, 1), (2, 20)');
  const where = isPartitioned ? PLACES : `'${COLLECTION}'`;
  for (let layer = 0; layer < 3; layer++) {
    await database.clock.advance('1s');
    await database.run(
      `UPDATE t SET v = '${seed} ${layer}' WHERE id = ${layer + 1}; DELETE FROM t WHERE id = ${30 + layer}; INSERT INTO u VALUES (${10 + layer})`,
    );
    const options = [...(layer === 1 ? ['revision_history'] : []), ...(secret === '' ? [] : [secret])];
    const into = layer === 0 ? `INTO ${where}` : `INTO LATEST IN ${where}`;
    await database.run(`BACKUP DATABASE d ${into}${options.length > 0 ? ` WITH ${options.join(', ')}` : ''}`);
  }
  if (isCompacted) await database.run(`COMPACT BACKUP LATEST IN ${where}${secret === '' ? '' : ` WITH ${secret}`}`);
  return database;
}

/** A file's content as a later version of its format would begin it, with its checksums in order. */
function laterVersion(name: string, content: Buffer): Buffer | undefined {
  const later = Buffer.from(content);
  const magic = later.subarray(1, 4).toString('latin1');
  if (magic === 'VKV') {
    later.writeUInt16LE(2, 8);
    later.writeUInt32LE(crc32(later.subarray(0, 12)), 12);
    const footer = later.subarray(later.length - FOOTER_BYTES);
    footer.writeUInt16LE(2, 80);
    footer.writeUInt32LE(crc32(footer.subarray(0, 84)), 84);
    return later;
  }
  if (!magic.startsWith('V') || name.endsWith('CHECKSUM')) return undefined;
  // Manifests of today have two versions.
  later.writeUInt16LE(later.readUInt16LE(8) + 2, 8);
  later.writeUInt32LE(crc32(later.subarray(24), crc32(later.subarray(0, 20))), 20);
  return later;
}

/** Kinds of files by their names: those of one kind may be swapped. */
function kindOf(name: string): string {
  if (name.endsWith('.vkv')) return 'data';
  if (name.endsWith('-statistics')) return 'statistics';
  if (/BACKUP_PART/.test(name)) return 'part';
  return (
    name
      .split('/')
      .at(-1)
      ?.replace(/[0-9a-f]{16}.*$/, '')
      .replace(/^\d+-\d+-/, '') ?? ''
  );
}

interface Damage {
  readonly what: string;
  /** Files to write; undefined deletes. */
  readonly writes: ReadonlyMap<string, Buffer | undefined>;
}

function* damagesOf(
  name: string,
  files: ReadonlyMap<string, Buffer>,
  foreign: ReadonlyMap<string, Buffer>,
  flips: number,
): Generator<Damage> {
  const content = files.get(name) as Buffer;
  const one = (what: string, changed: Buffer | undefined): Damage => ({ what: `${what} ${name}`, writes: new Map([[name, changed]]) });
  yield one('missing', undefined);
  for (const length of new Set([0, content.length >> 1, content.length - 1])) yield one(`cut to ${length}:`, content.subarray(0, length));
  yield one('longer:', Buffer.concat([content, Buffer.from([0])]));
  const random = seededRandom(name);
  for (let region = 0; region < flips; region++) {
    const flipped = Buffer.from(content);
    const offset = Math.min(
      content.length - 1,
      Math.floor((content.length * region) / flips) + random.int(Math.ceil(content.length / flips)),
    );
    flipped[offset] = (flipped[offset] as number) ^ (1 << random.int(8));
    yield one(`bit flipped at ${offset} of`, flipped);
  }
  const others = [...files].filter(([other]) => other !== name && kindOf(other) === kindOf(name));
  for (const [other, theirs] of others.slice(0, 2)) {
    yield {
      what: `swapped with ${other}: ${name}`,
      writes: new Map([
        [name, theirs],
        [other, content],
      ]),
    };
    yield one(`replaced by ${other}:`, theirs);
  }
  const theirs = [...foreign].find(([other]) => kindOf(other) === kindOf(name) && other.split('/')[1] === name.split('/')[1]);
  if (theirs) yield one('foreign:', theirs[1]);
  const later = laterVersion(name, content);
  if (later === undefined) return;
  const writes = new Map([[name, later]]);
  // A later manifest comes with its own checksum.
  if (kindOf(name) === 'BACKUP_MANIFEST') {
    writes.set(`${name}-CHECKSUM`, Buffer.from(`${createHash('sha256').update(later).digest('hex')}\n`));
  }
  yield { what: `later version: ${name}`, writes };
}

/** By name in the bucket. */
async function contentOf(files: MemoryFiles): Promise<Map<string, Buffer>> {
  const storage = openMemory(ParsedUri.parse(BUCKET), files);
  const found = new Map<string, Buffer>();
  for (const name of await storage.list('')) found.set(name, Buffer.from(await storage.read(name)));
  return found;
}

/** What an error may say for a file: its name in the collection. */
function namesFor(inBucket: string): string[] {
  const file = inBucket.slice(inBucket.indexOf('/') + 1);
  // A checksum and its manifest contradict each other: which of them is wrong nobody can say.
  if (file.endsWith('-CHECKSUM')) return [file, file.replace(/-CHECKSUM$/, '')];
  if (file.endsWith('/ENCRYPTION_INFO')) return [file, 'ENCRYPTION_INFO of its full backup', 'no ENCRYPTION_INFO for backup'];
  return [file];
}

interface SweepOptions extends Form {
  /** Of a restore: what, and how. */
  readonly targets: string;
  readonly options: string;
  /** Which files go bad; all when absent. */
  readonly only?: RegExp;
  /** Flipped bits of a file. */
  readonly flips: number;
}

const BUCKET = 'mem://bucket';
/** Of a compacted layer, which lies beside those that it was made of. */
const COMPACTED = /120003\.00-/;
// A key costs less time than a passphrase.
const ENCRYPTED = "kms = 'mem-kms:///k1'";
const WHOLE = { targets: 'DATABASE d', options: "new_db_name = 'x'" };
// A part of a file is read where it lies, without the proof of the whole.
const TABLE = { targets: 'TABLE d.u', options: "into_db = 'x'", only: /\.vkv$/ };

test('of a whole restore', () => sweep({ ...WHOLE, secret: '', flips: runs(5) }));
test('of a restore of one table', () => sweep({ ...TABLE, secret: '', flips: runs(10) }));
test('of an encrypted backup', () => sweep({ ...WHOLE, secret: ENCRYPTED, flips: 1, only: /120001.00\/(?!2)|120003|LATEST|-statistics/ }));
test('of a compacted chain', () => sweep({ ...WHOLE, secret: '', isCompacted: true, flips: runs(3), only: COMPACTED }));
test('of a compacted and encrypted chain in places by locality', () =>
  sweep({ ...WHOLE, secret: ENCRYPTED, isCompacted: true, isPartitioned: true, flips: 1, only: /c-west\/|120003.00-|ENCRYPTION|PART/ }));

async function sweep({ targets, options, only, flips, ...form }: SweepOptions): Promise<void> {
  const { secret } = form;
  const into = 'x';
  const files = new MemoryFiles();
  const database = await backedUp(files, 'here', form);
  const foreignFiles = new MemoryFiles();
  await (await backedUp(foreignFiles, 'elsewhere', form)).close();
  const [original, foreign] = [await contentOf(files), await contentOf(foreignFiles)];
  const storage = openMemory(ParsedUri.parse(BUCKET), files);
  const where = form.isPartitioned ? PLACES : `'${COLLECTION}'`;
  if (targets.startsWith('TABLE')) await database.run(`CREATE DATABASE ${into}`);
  const tables = targets.startsWith('TABLE') ? ['u'] : ['t', 'u'];
  const rowsOf = async (db: string) =>
    JSON.stringify(await Promise.all(tables.map((table) => database.rows(`SELECT * FROM ${db}.${table} ORDER BY 1`))));
  const expected = await rowsOf('d');
  const sql = `RESTORE ${targets} FROM LATEST IN ${where} WITH ${[options, ...(secret === '' ? [] : [secret])].join(', ')}`;

  const restore = async (): Promise<string> => {
    try {
      await database.rows(sql);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      assert.ok([...CODES, '22023', '58030'].includes(error.code), `${error.code} ${error.message}`);
      return `${error.message}\n${error.detail ?? ''}`;
    }
    const rows = await rowsOf(into);
    await database.run(targets.startsWith('TABLE') ? `DROP TABLE ${into}.u` : `DROP DATABASE ${into} CASCADE`);
    return rows;
  };

  assert.is(await restore(), expected);
  const kinds = new Map<string, number>();
  const problems: string[] = [];
  for (const name of original.keys()) {
    if (only !== undefined && !only.test(name)) continue;
    for (const { what, writes } of damagesOf(name, original, foreign, flips)) {
      for (const [file, content] of writes) {
        if (content === undefined) await storage.delete(file);
        else await storage.write(file, content);
      }
      const outcome = await restore();
      kinds.set(kindOf(name), (kinds.get(kindOf(name)) ?? 0) + 1);
      const isNamed = [...writes.keys()].flatMap(namesFor).some((one) => outcome.includes(one));
      if (outcome !== expected && !isNamed) problems.push(`${what}\n    ${outcome.slice(0, 300)}`);
      for (const file of writes.keys()) await storage.write(file, original.get(file) as Buffer);
    }
  }
  assert.equal(problems, []);
  assert.ok((kinds.get('data') ?? 0) > 5, [...kinds].join(' '));
  const others = [
    ...['BACKUP_MANIFEST', 'BACKUP_MANIFEST-CHECKSUM', 'statistics'],
    ...(form.isCompacted ? [] : ['LATEST-', '']),
    ...(secret === '' ? [] : ['ENCRYPTION_INFO']),
    ...(form.isPartitioned ? ['part'] : []),
  ];
  if (targets.startsWith('DATABASE')) for (const kind of others) assert.ok((kinds.get(kind) ?? 0) > 5, `${kind}: ${[...kinds].join(' ')}`);
  assert.is(await restore(), expected);
  await database.close();
}

test('a compacted layer with a damaged manifest is passed over, and told of', async () => {
  const files = new MemoryFiles();
  const database = await backedUp(files, 'here', { secret: '', isCompacted: true });
  const storage = openMemory(ParsedUri.parse(COLLECTION), files);
  const name = (await storage.list('')).find((one) => COMPACTED.test(one) && one.endsWith('BACKUP_MANIFEST')) ?? '';
  const directory = name.slice(0, name.lastIndexOf('/'));
  const content = Buffer.from(await storage.read(name));
  content[40] = (content[40] as number) ^ 1;
  await storage.write(name, content);

  const from = `FROM LATEST IN '${COLLECTION}'`;
  const notice = `the compacted layer "${directory}" is passed over, and the layers that it was made of are read: backup file "${name}" is corrupt`;
  for (const sql of [`RESTORE DATABASE d ${from} WITH new_db_name = 'x'`, `ATTACH BACKUP ${from} AS old`, `SHOW BACKUP ${from}`]) {
    const notices: string[] = [];
    await database.rows(sql, undefined, (message) => notices.push(message));
    assert.is(notices.length, 1, sql);
    assert.match(notices[0] ?? '', notice);
  }
  for (const db of ['x', 'old']) {
    assert.equal(await database.rows(`SELECT * FROM ${db}.t ORDER BY id`), await database.rows('SELECT * FROM d.t ORDER BY id'));
  }
  await database.run('DETACH BACKUP old');
  const [[validation] = []] = await database.rows(`SHOW BACKUP VALIDATE ${from}`);
  assert.match(validation ?? '', notice);
  assert.match(validation ?? '', 'ERROR: validation failed');
  assert.match(await database.error(`VERIFY BACKUP ${from}`), `XX001 backup file "${name}" is corrupt`);
  assert.match(await database.error(`COMPACT BACKUP LATEST IN '${COLLECTION}'`), `XX001 backup file "${name}" is corrupt`);
  // A moment is proved without it.
  const [[, end] = []] = await database.rows(`SELECT '', max(end_time)::STRING FROM [SHOW BACKUP ${from}]`);
  assert.is(await database.error(`VERIFY BACKUP ${from} AS OF SYSTEM TIME '${end}'`), 'no error');
  await database.close();
});

test.run();
