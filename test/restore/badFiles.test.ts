/**
 * Every file of a chain, in every position, in every way that a file can go bad: gone, cut short, with a flipped bit in
 * any region, replaced by another file of its kind (of another layer, of another cluster's backup of the same tables),
 * written by a later version. A restore then either names the file in its error, or is right to the last row: what
 * nothing depends on (index, pointers that the index knows, statistics) may be lost. The same with encryption.
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
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('bad files');

/** What an error about a bad file may be: damage, a missing file, a later version, and with encryption a key that does not fit. */
const CODES = ['XX001', '58P01', '0A000'];

/** A chain of three layers: a full, two incrementals, one with history; indexes, statistics and a table of its own for each layer. */
async function backedUp(files: MemoryFiles, seed: string, secret: string): Promise<TestDatabase> {
  const database = await TestDatabase.open({ files, seed });
  await database.run(
    'CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, v STRING, INDEX (v)); CREATE TABLE u (id INT PRIMARY KEY)',
    'INSERT INTO t SELECT i, md5(i::STRING) FROM generate_series(1, 40) AS g(i); INSERT INTO u VALUES (1)',
    'CREATE STATISTICS s ON v FROM t',
  );
  for (let layer = 0; layer < 3; layer++) {
    await database.clock.advance('1s');
    await database.run(
      `UPDATE t SET v = '${seed} ${layer}' WHERE id = ${layer + 1}; DELETE FROM t WHERE id = ${30 + layer}; INSERT INTO u VALUES (${10 + layer})`,
    );
    const options = [...(layer === 1 ? ['revision_history'] : []), ...(secret === '' ? [] : [secret])];
    const into = layer === 0 ? `INTO '${COLLECTION}'` : `INTO LATEST IN '${COLLECTION}'`;
    await database.run(`BACKUP DATABASE d ${into}${options.length > 0 ? ` WITH ${options.join(', ')}` : ''}`);
  }
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
  later.writeUInt16LE(later.readUInt16LE(8) + 1, 8);
  later.writeUInt32LE(crc32(later.subarray(24), crc32(later.subarray(0, 20))), 20);
  return later;
}

/** Kinds of files by their names: those of one kind may be swapped. */
function kindOf(name: string): string {
  if (name.endsWith('.vkv')) return 'data';
  if (name.endsWith('-statistics')) return 'statistics';
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
  const theirs = [...foreign].find(([other]) => kindOf(other) === kindOf(name) && other.split('/')[0] === name.split('/')[0]);
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

async function contentOf(files: MemoryFiles): Promise<Map<string, Buffer>> {
  const storage = openMemory(ParsedUri.parse(COLLECTION), files);
  const found = new Map<string, Buffer>();
  for (const name of await storage.list('')) found.set(name, Buffer.from(await storage.read(name)));
  return found;
}

/** What an error may say for a file. */
function namesFor(file: string): string[] {
  // A checksum and its manifest contradict each other: which of them is wrong nobody can say.
  if (file.endsWith('-CHECKSUM')) return [file, file.replace(/-CHECKSUM$/, '')];
  // Without it the backup is none of an encrypted kind; another's key opens another's files.
  if (file.endsWith('/ENCRYPTION_INFO')) return ['ENCRYPTION_INFO', 'failed to decrypt data key'];
  return [file];
}

interface SweepOptions {
  readonly secret: string;
  /** Of a restore: what, and how. */
  readonly targets: string;
  readonly options: string;
  /** Which files go bad; all when absent. */
  readonly only?: RegExp;
  /** Flipped bits of a file. */
  readonly flips: number;
}

// A key costs less time than a passphrase.
const ENCRYPTED = "kms = 'mem-kms:///k1'";
const WHOLE = { targets: 'DATABASE d', options: "new_db_name = 'x'" };
// A part of a file is read where it lies, without the proof of the whole.
const TABLE = { targets: 'TABLE d.u', options: "into_db = 'x'", only: /\.vkv$/ };

test('of a whole restore', () => sweep({ ...WHOLE, secret: '', flips: 5 }));
test('of a restore of one table', () => sweep({ ...TABLE, secret: '', flips: 10 }));
test('of an encrypted backup', () => sweep({ ...WHOLE, secret: ENCRYPTED, flips: 1, only: /120001.00\/(?!2)|120003|LATEST|-statistics/ }));

async function sweep({ secret, targets, options, only, flips }: SweepOptions): Promise<void> {
  const into = 'x';
  const files = new MemoryFiles();
  const database = await backedUp(files, 'here', secret);
  const foreignFiles = new MemoryFiles();
  await (await backedUp(foreignFiles, 'elsewhere', secret)).close();
  const [original, foreign] = [await contentOf(files), await contentOf(foreignFiles)];
  const storage = openMemory(ParsedUri.parse(COLLECTION), files);
  if (targets.startsWith('TABLE')) await database.run(`CREATE DATABASE ${into}`);
  const tables = targets.startsWith('TABLE') ? ['u'] : ['t', 'u'];
  const rowsOf = async (db: string) =>
    JSON.stringify(await Promise.all(tables.map((table) => database.rows(`SELECT * FROM ${db}.${table} ORDER BY 1`))));
  const expected = await rowsOf('d');
  const sql = `RESTORE ${targets} FROM LATEST IN '${COLLECTION}' WITH ${[options, ...(secret === '' ? [] : [secret])].join(', ')}`;

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
  assert.ok((kinds.get('data') ?? 0) > 15, [...kinds].join(' '));
  const others = [
    'BACKUP_MANIFEST',
    'BACKUP_MANIFEST-CHECKSUM',
    'LATEST-',
    'statistics',
    '',
    ...(secret === '' ? [] : ['ENCRYPTION_INFO']),
  ];
  if (targets.startsWith('DATABASE')) for (const kind of others) assert.ok((kinds.get(kind) ?? 0) > 5, `${kind}: ${[...kinds].join(' ')}`);
  assert.is(await restore(), expected);
  await database.close();
}

test.run();
