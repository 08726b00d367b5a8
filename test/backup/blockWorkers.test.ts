/** Blocks on worker threads: they come out as the codec on the calling thread would have made them, and nothing is lost with a thread. */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { giveBlockBuffer, takeBlockBuffer } from '../../src/backup/blockBuffers.ts';
import { CODEC } from '../../src/backup/blockCodec.ts';
import { BLOCK_WORKERS, BlockWorkerError, startThread } from '../../src/backup/blockWorkers.ts';
import { Cipher, KEY_BYTES, LayerCipher } from '../../src/backup/cipher.ts';
import { openFrame, storeBlock } from '../../src/backup/frame.ts';
import { CorruptionError } from '../../src/base/errors.ts';
import { isRetryableJobError } from '../../src/jobs/job.ts';
import { open } from '../../src/index.ts';

const test = suite('block workers');
const PLACE = { file: 'f', offset: 0 };
/** Beyond what is done on the calling thread. */
const BYTES = 1 << 18;

function cipherOf(key: number) {
  return new LayerCipher(new Cipher(Buffer.alloc(KEY_BYTES, key), randomBytes), 'layer').forFile('data/1.dat');
}

/** Content that shrinks by half, or not at all. */
function contentOf(seed: number, shrinks: boolean, bytes = BYTES): Buffer {
  if (shrinks) return Buffer.from(randomBytes(bytes / 2).toString('hex'));
  return Buffer.concat([Buffer.from([seed]), randomBytes(bytes - 1)]);
}

async function storeOnWorker(content: Buffer, sealing = cipherOf(1).sealing(7)) {
  const buffer = takeBlockBuffer(content.length);
  content.copy(buffer);
  return { buffer, ...(await storeBlock(buffer, content.length, 1, { sealing })) };
}

test('many blocks at once, plain and sealed, come back as they were', async () => {
  await Promise.all(
    Array.from({ length: 24 }, async (_, i) => {
      const content = contentOf(i, i % 2 === 0);
      const cipher = i % 3 === 0 ? undefined : cipherOf(1);
      const buffer = takeBlockBuffer(content.length);
      content.copy(buffer);
      const { frame, storedSize } = await storeBlock(buffer, content.length, 1, { sealing: cipher?.sealing(i) });
      assert.is(frame.length, storedSize + 16);
      const here = CODEC.open(frame, cipher?.opening(i));
      assert.ok('content' in here && here.content.equals(content), `block ${i} opens here`);
      const opened = await openFrame(frame, PLACE, false, cipher?.opening(i));
      assert.ok(opened.content.equals(content), `block ${i} opens on a worker`);
      opened.release();
      giveBlockBuffer(buffer);
    }),
  );
});

test('a block that does not shrink and fills its buffer has a frame of its own', async () => {
  const usual = takeBlockBuffer(1);
  const content = contentOf(0, false, usual.length);
  content.copy(usual);
  const { frame } = await storeBlock(usual, content.length, 1);
  assert.ok(frame.length > usual.length);
  const opened = await openFrame(frame, PLACE);
  assert.ok(opened.content.equals(content));
});

test('a block that cannot be stored fails alone', async () => {
  const content = contentOf(1, true);
  const buffer = takeBlockBuffer(content.length);
  content.copy(buffer);
  const failed = await storeBlock(buffer, content.length, -1).catch((error: Error) => error.message);
  assert.match(String(failed), 'out of range');
  const { frame } = await storeOnWorker(content);
  assert.ok('content' in CODEC.open(frame, cipherOf(1).opening(7)));
});

test('what is wrong with a frame is said as it is said of small ones', async () => {
  const content = contentOf(1, true);
  const { frame } = await storeOnWorker(content);
  const failure = async (bytes: Buffer, cipher = cipherOf(1), number = 7): Promise<Error> => {
    try {
      await openFrame(bytes, PLACE, false, cipher.opening(number));
    } catch (error) {
      return error as Error;
    }
    throw new Error('it opened');
  };
  const flipped = Buffer.from(frame);
  flipped[100] = (flipped[100] as number) ^ 1;
  assert.match((await failure(flipped)).message, 'checksum mismatch in a block');
  assert.match((await failure(frame, cipherOf(2))).message, 'authentication failed');
  assert.match((await failure(frame, cipherOf(1), 8)).message, 'authentication failed');
  const plain = takeBlockBuffer(BYTES);
  content.copy(plain);
  const { frame: stored } = await storeBlock(plain, content.length, 1);
  // Not a zstd frame, under a right checksum.
  const forged = CODEC.store(Buffer.concat([stored.subarray(16), Buffer.alloc(BYTES)]), stored.length - 16, 1, undefined);
  const foreign = Buffer.concat([forged.subarray(0, 16), randomBytes(forged.length - 16)]);
  const { crc32 } = await import('node:zlib');
  foreign.writeUInt32LE(BYTES, 4);
  foreign.writeUInt32LE(crc32(foreign.subarray(16), crc32(foreign.subarray(0, 12))), 12);
  try {
    await openFrame(foreign, PLACE);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, CorruptionError);
    assert.match((error as Error).message, 'compressed content');
  }
});

/** Threads that go wrong: each is started from the next of these texts, and all after them as they should be. Returns those that are left. */
function startFrom(...texts: string[]): readonly string[] {
  BLOCK_WORKERS.restart(() => {
    const text = texts.shift();
    return text === undefined ? startThread() : new Worker(text, { eval: true, execArgv: [] });
  });
  return texts;
}

const BEGUN = "const { parentPort } = require('node:worker_threads'); parentPort.postMessage({ id: 0 });";
const DIES = {
  'by an error': `${BEGUN} parentPort.on('message', () => { throw new Error('out of memory'); });`,
  'without a word': `${BEGUN} parentPort.on('message', () => process.exit(7));`,
  'with half of the work done': `${BEGUN} parentPort.on('message', ({ memory }) => { Buffer.from(memory).fill(0); process.exit(7); });`,
};

for (const [how, text] of Object.entries(DIES)) {
  test(`a worker that dies ${how} fails what it had in hand, for another attempt`, async () => {
    startFrom(...Array.from({ length: 8 }, () => text));
    const content = contentOf(1, true);
    const failures = await Promise.all([1, 2, 3].map(() => storeOnWorker(content).catch((error: unknown) => error)));
    for (const failure of failures) {
      assert.instance(failure, BlockWorkerError);
      assert.ok(isRetryableJobError(failure));
    }
    BLOCK_WORKERS.restart();
    const { frame } = await storeOnWorker(content);
    assert.ok('content' in CODEC.open(frame, cipherOf(1).opening(7)));
  });
}

const NEVER_BEGINS = {
  'fails as it begins': () => new Worker("throw new Error('no such module')", { eval: true, execArgv: [] }),
  'ends as it begins': () => new Worker('process.exit(1)', { eval: true, execArgv: [] }),
  'cannot be started': () => {
    throw new Error('ERR_WORKER_INIT_FAILED');
  },
};

for (const [how, start] of Object.entries(NEVER_BEGINS)) {
  test(`where a thread ${how} its work is done here, and no other is started`, async () => {
    let startedCount = 0;
    BLOCK_WORKERS.restart(() => {
      startedCount++;
      return start();
    });
    const contents = [1, 2, 3].map((seed) => contentOf(seed, true));
    for (let round = 0; round < 2; round++) {
      const stored = await Promise.all(contents.map((content) => storeOnWorker(content)));
      for (const [i, { frame }] of stored.entries()) {
        const opened = await openFrame(frame, PLACE, false, cipherOf(1).opening(7));
        assert.ok(opened.content.equals(contents[i] as Buffer));
      }
      if (round === 0) startedCount = 0;
    }
    assert.is(startedCount, 0);
    BLOCK_WORKERS.restart();
  });
}

test('a backup and a restore whose workers die are tried again, and bring back what there was', async () => {
  const db = await open();
  try {
    await db.query("SET CLUSTER SETTING jobs.registry.retry.initial_delay = '1ms'");
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, v STRING)');
    await db.query('INSERT INTO t SELECT i, repeat(md5(i::STRING), 40) FROM generate_series(1, 600) AS g(i)');
    await db.query('CREATE DATABASE d2');
    const ofBackup = startFrom(DIES['with half of the work done']);
    await db.query("BACKUP TABLE t INTO 'userfile:///b'");
    const ofRestore = startFrom(DIES['with half of the work done']);
    await db.query("RESTORE TABLE t FROM LATEST IN 'userfile:///b' WITH into_db = 'd2'");
    const sum = async (table: string) =>
      (await db.query(`SELECT count(*), sum(length(v)), md5(string_agg(v, '' ORDER BY id)) FROM ${table}`)).rows;
    assert.equal(await sum('d2.t'), await sum('t'));
    assert.equal([...ofBackup, ...ofRestore], [], 'one died in each');
  } finally {
    BLOCK_WORKERS.restart();
    await db.close();
  }
});

test.run();
