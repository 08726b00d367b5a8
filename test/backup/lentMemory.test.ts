/**
 * Lent memory: a backup, a compaction, a restore and their proofs over a storage that makes the most of what the port allows:
 * it holds each chunk for a while before it asks for the next, and lends two pieces of memory in turns for all that is read.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open } from '../../src/index.ts';
import type { ExternalStorage, ReadOptions, WriteSource } from '../../src/storage/externalStorage.ts';

const test = suite('backup: lent memory');
const PIECE_BYTES = 100_000;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Throws when a chunk changes before the next one is asked for. */
async function* held(source: WriteSource): AsyncGenerator<Uint8Array> {
  for await (const chunk of source instanceof Uint8Array ? [source] : source) {
    const copy = Uint8Array.from(chunk);
    for (let i = 0; i < 3; i++) await turn();
    yield chunk;
    if (Buffer.compare(copy, chunk) !== 0) throw new Error('a chunk changed while the storage had it');
  }
}

/** Pieces in two pieces of memory in turns; what is not lent any more is garbage. */
async function* lent(storage: ExternalStorage, name: string, options: ReadOptions | undefined): AsyncGenerator<Uint8Array> {
  const whole = Buffer.from(await storage.read(name, options));
  const memory = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)] as const;
  for (let at = 0, turns = 0; at < whole.length; at += PIECE_BYTES, turns++) {
    const own = memory[turns % 2 === 0 ? 0 : 1];
    own.fill(0xee);
    await turn();
    const length = whole.copy(own, 0, at, at + PIECE_BYTES);
    yield own.subarray(0, length);
  }
}

function lending(inner: ExternalStorage): ExternalStorage {
  const storage = Object.create(inner) as ExternalStorage;
  const { uri, capabilities } = inner;
  return Object.assign(storage, {
    uri,
    capabilities,
    write: (...[name, source, options]: Parameters<ExternalStorage['write']>) => inner.write(name, held(source), options),
    read: (...[name, options]: Parameters<ExternalStorage['read']>) => inner.read(name, options),
    readStream: (name: string, options?: ReadOptions) => (options?.isLent ? lent(inner, name, options) : inner.readStream(name, options)),
    size: (name: string) => inner.size(name),
    list: (...args: Parameters<ExternalStorage['list']>) => inner.list(...args),
    delete: (name: string) => inner.delete(name),
    close: () => inner.close(),
  });
}

for (const encrypted of ['', "encryption_passphrase = 'p'"]) {
  test(`what was lent is not kept${encrypted && ', of encrypted files'}`, async () => {
    const db = await open({ wrapStorage: lending });
    const options = (...others: string[]) => {
      const all = [encrypted, ...others].filter(Boolean);
      return all.length === 0 ? '' : `WITH ${all.join(', ')}`;
    };
    try {
      await db.query('CREATE TABLE t (id INT PRIMARY KEY, v STRING)');
      const insert = (from: number, to: number) =>
        db.query(`INSERT INTO t SELECT i, repeat(md5(i::STRING), 40) FROM generate_series(${from}, ${to}) AS g(i)`);
      await insert(1, 1600);
      await db.query(`BACKUP TABLE t INTO 'userfile:///c' ${options()}`);
      for (const round of [1, 2]) {
        await insert(round * 2000, round * 2000 + 400);
        await db.query(`BACKUP TABLE t INTO LATEST IN 'userfile:///c' ${options()}`);
      }
      await db.query(`COMPACT BACKUP LATEST IN 'userfile:///c' ${options()}`);
      const proved = await db.query(`SELECT DISTINCT status FROM [VERIFY BACKUP FROM LATEST IN 'userfile:///c' ${options()}]`);
      assert.equal(proved.rows, [{ status: 'ok' }]);
      await db.query('CREATE DATABASE d2');
      await db.query(`RESTORE TABLE t FROM LATEST IN 'userfile:///c' ${options("into_db = 'd2'")}`);
      const sum = async (table: string) => (await db.query(`SELECT count(*), md5(string_agg(v, '' ORDER BY id)) FROM ${table}`)).rows;
      assert.equal(await sum('d2.t'), await sum('t'));
    } finally {
      await db.close();
    }
  });
}

test.run();
