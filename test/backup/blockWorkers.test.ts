/** Blocks on worker threads: they come out as the codec on the calling thread would have made them, and nothing is lost with a thread. */
import { randomBytes } from 'node:crypto';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { giveBlockBuffer, takeBlockBuffer } from '../../src/backup/blockBuffers.ts';
import { CODEC } from '../../src/backup/blockCodec.ts';
import { Cipher, KEY_BYTES, LayerCipher } from '../../src/backup/cipher.ts';
import { openFrame, storeBlock } from '../../src/backup/frame.ts';
import { CorruptionError } from '../../src/base/errors.ts';

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

test.run();
