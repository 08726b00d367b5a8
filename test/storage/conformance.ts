/**
 * The suite that every ExternalStorage adapter passes: S1 to S6 of src/storage/externalStorage.ts.
 *
 * An adapter's test calls storageConformance() with a way to open fresh, empty locations; each test
 * gets one of its own. Does not check durability against power loss.
 */
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';

export interface ConformanceTarget {
  /** Opens an empty location, new at each call. */
  open(): Promise<ExternalStorage>;
  /** Opens the same location as `storage` a second time. */
  reopen(storage: ExternalStorage): Promise<ExternalStorage>;
  /** Names that the storage cannot keep, and refuses to write with 22023. */
  readonly refuses?: RegExp;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (content: Uint8Array): string => Buffer.from(content).toString();

/** Names that adapters have got wrong: spaces, percent signs, quotes, non-ASCII, a dot in front, long ones. */
const ODD_NAMES = [
  'with space',
  'per%20cent',
  'quote\'and"double',
  'plus+and&amp?query#hash',
  'ünïcödé/日本/😀.vkv',
  '.hidden',
  '...',
  'a/.b/..c/d',
  '-dash',
  'tilde~$dollar`back\\slash',
  `long/${'n'.repeat(200)}`,
  'BACKUP-LOCK-123456789012345678',
];

export function storageConformance(adapterName: string, target: ConformanceTarget): void {
  const test = suite(`storage conformance: ${adapterName}`);
  const isKept = (name: string) => target.refuses === undefined || !target.refuses.test(name);

  test('what is written is read, with its size and digest', async () => {
    const storage = await target.open();
    const content = bytes('hello');
    const result = await storage.write('a/b', content);
    assert.equal(result, { sizeBytes: 5, sha256: createHash('sha256').update(content).digest('hex') });
    assert.is(text(await storage.read('a/b')), 'hello');
    assert.is(await storage.size('a/b'), 5);
    const again = await target.reopen(storage);
    assert.is(text(await again.read('a/b')), 'hello');
  });

  test('an empty file exists', async () => {
    const storage = await target.open();
    assert.is((await storage.write('empty', new Uint8Array())).sizeBytes, 0);
    assert.is(await storage.size('empty'), 0);
    assert.is((await storage.read('empty')).length, 0);
    assert.equal(await storage.list(''), ['empty']);
  });

  test('a large file comes back whole and in ranges, from a stream of uneven chunks', async () => {
    const storage = await target.open();
    const content = Buffer.from(seededRandom('conformance').bytes(700_001), 'latin1');
    const large = Buffer.concat([content, content, content, content, content]);
    const result = await storage.write('large', unevenChunks(large));
    assert.is(result.sizeBytes, large.length);
    assert.is(result.sha256, createHash('sha256').update(large).digest('hex'));
    assert.ok(large.equals(await storage.read('large')));
    assert.ok(large.equals(await collect(storage.readStream('large'))));
    for (const [offset, length] of [
      [0, 1],
      [1, 1_048_577],
      [1_048_575, 2],
      [large.length - 3, 3],
      [large.length - 3, 100],
      [large.length, 10],
      [large.length + 10, 10],
      [5, 0],
    ] as const) {
      const expected = large.subarray(offset, offset + length);
      assert.ok(expected.equals(await storage.read('large', { offset, length })), `read ${offset}+${length}`);
      assert.ok(expected.equals(await collect(storage.readStream('large', { offset, length }))), `stream ${offset}+${length}`);
    }
    assert.ok(large.subarray(3_000_000).equals(await storage.read('large', { offset: 3_000_000 })));
  });

  test('an array of chunks is one file', async () => {
    const storage = await target.open();
    await storage.write('parts', [bytes('ab'), bytes(''), bytes('c')]);
    assert.is(text(await storage.read('parts')), 'abc');
  });

  test('odd names are kept exactly', async () => {
    const storage = await target.open();
    const kept = ODD_NAMES.filter(isKept);
    for (const name of ODD_NAMES) {
      if (isKept(name)) await storage.write(name, bytes(name));
      else await rejects(() => storage.write(name, bytes(name)), '22023');
    }
    assert.equal(await storage.list(''), byUtf8(kept));
    for (const name of kept) assert.is(text(await storage.read(name)), name);
    for (const name of kept) await storage.delete(name);
    assert.equal(await storage.list(''), []);
  });

  test('names that are not normalised are refused', async () => {
    const storage = await target.open();
    for (const name of ['', '/a', 'a/', 'a//b', '.', '..', '../x', 'a/../../x', 'a/./b', 'nul\0', 'line\nbreak', 'x'.repeat(1025)]) {
      await rejects(() => storage.write(name, bytes('x')), '22023');
      await rejects(() => storage.read(name), '22023');
      await rejects(() => storage.delete(name), '22023');
    }
    assert.equal(await storage.list(''), []);
  });

  test('a missing file is 58P01, whatever is asked of it', async () => {
    const storage = await target.open();
    await storage.write('there/file', bytes('x'));
    for (const name of ['missing', 'there', 'there/file/below', 'no/folder/either']) {
      const error = await rejects(() => storage.read(name), '58P01');
      assert.not(error.isRetryable);
      await rejects(() => collect(storage.readStream(name)), '58P01');
      await rejects(() => storage.size(name), '58P01');
    }
  });

  test('overwriting replaces the whole content', async () => {
    const storage = await target.open();
    await storage.write('f', bytes('a long first version'));
    await storage.write('f', bytes('short'));
    assert.is(text(await storage.read('f')), 'short');
    assert.equal(await storage.list(''), ['f']);
  });

  test('listing: prefixes, delimiter, byte order', async () => {
    const storage = await target.open();
    assert.equal(await storage.list(''), []);
    assert.equal(await storage.list('no/such/'), []);
    const all = ['2026/11/20-1/M', '2026/11/20-1/data/1', '2026/11/20-1/data/2', '2026/12/01-1/M', 'm', 'n/x', 'n-1', 'z\uffff', 'z😀'];
    const names = all.filter(isKept);
    for (const name of names) await storage.write(name, bytes('x'));
    assert.equal(await storage.list(''), byUtf8(names));
    assert.equal(await storage.list('2026/11/'), ['2026/11/20-1/M', '2026/11/20-1/data/1', '2026/11/20-1/data/2']);
    assert.equal(
      await storage.list('2026/1'),
      names.filter((name) => name.startsWith('2026/1')),
    );
    assert.equal(await storage.list('n'), ['n-1', 'n/x']);
    assert.equal(await storage.list('', { delimiter: '/' }), ['2026/', 'm', 'n-1', 'n/', 'z\uffff', 'z😀'].filter(isKept));
    assert.equal(await storage.list('2026/', { delimiter: '/' }), ['2026/11/', '2026/12/']);
    assert.equal(await storage.list('2026/11/20-1/', { delimiter: '/' }), ['2026/11/20-1/M', '2026/11/20-1/data/']);
    assert.equal(await storage.list('n', { delimiter: '/' }), ['n-1', 'n/']);
    assert.equal(await storage.list('n/x'), ['n/x']);
    assert.equal(await storage.list('n/x/'), []);
  });

  test('deleting is idempotent and leaves other files alone', async () => {
    const storage = await target.open();
    await storage.write('d/a', bytes('a'));
    await storage.write('d/b', bytes('b'));
    await storage.delete('d/a');
    await storage.delete('d/a');
    await storage.delete('d/never/was');
    assert.equal(await storage.list(''), ['d/b']);
    await storage.delete('d/b');
    assert.equal(await storage.list('', { delimiter: '/' }), []);
    await storage.write('d/a', bytes('again'));
    assert.is(text(await storage.read('d/a')), 'again');
  });

  test('ifAbsent refuses an existing file and leaves it alone', async () => {
    const storage = await target.open();
    if (!storage.capabilities.conditionalCreate) {
      await rejects(() => storage.write('lock', bytes('first'), { ifAbsent: true }), '0A000');
      assert.equal(await storage.list(''), []);
      return;
    }
    await storage.write('lock', bytes('first'), { ifAbsent: true });
    await rejects(() => storage.write('lock', bytes('second'), { ifAbsent: true }), '58P02');
    assert.is(text(await storage.read('lock')), 'first');
    await storage.delete('lock');
    await storage.write('lock', bytes('third'), { ifAbsent: true });
    assert.is(text(await storage.read('lock')), 'third');
  });

  test('of concurrent ifAbsent writers exactly one wins, and its content stands', async () => {
    const storage = await target.open();
    if (!storage.capabilities.conditionalCreate) return;
    const other = await target.reopen(storage);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 === 0 ? storage : other).write('claim', slowly(bytes(`writer ${index}`)), { ifAbsent: true }),
      ),
    );
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
    assert.is(winners.length, 1);
    for (const outcome of outcomes) if (outcome.status === 'rejected') assert.is(outcome.reason.code, '58P02');
    assert.is(text(await storage.read('claim')), `writer ${winners[0]}`);
    assert.equal(await storage.list(''), ['claim']);
  });

  test('concurrent overwrites leave one whole version', async () => {
    const storage = await target.open();
    const versions = Array.from({ length: 6 }, (_, index) => Buffer.alloc(100_000 + index, index));
    await Promise.all(versions.map((version) => storage.write('f', unevenChunks(version))));
    const stored = await storage.read('f');
    assert.ok(versions.some((version) => version.equals(stored)));
  });

  test('a write that aborts in the middle leaves nothing', async () => {
    const storage = await target.open();
    await storage.write('kept', bytes('old'));
    for (const name of ['fresh', 'kept', 'deep/fresh']) {
      const controller = new AbortController();
      const reason = new Error('job canceled');
      async function* abortInTheMiddle() {
        yield bytes('first half');
        controller.abort(reason);
        yield bytes('second half');
      }
      const error = await storage.write(name, abortInTheMiddle(), { signal: controller.signal }).catch((thrown: unknown) => thrown);
      assert.is(error, reason);
    }
    assert.equal(await storage.list(''), ['kept']);
    assert.is(text(await storage.read('kept')), 'old');
  });

  test('a source that fails leaves nothing, and its error comes through', async () => {
    const storage = await target.open();
    async function* failing() {
      yield bytes('half');
      throw new Error('source broke');
    }
    const error = await storage.write('f', failing()).catch((thrown: unknown) => thrown);
    assert.is((error as Error).message, 'source broke');
    assert.equal(await storage.list(''), []);
  });

  test('an aborted signal stops reads and listings', async () => {
    const storage = await target.open();
    await storage.write('f', bytes('x'));
    const signal = AbortSignal.abort(new Error('stop'));
    for (const call of [
      () => storage.read('f', { signal }),
      () => collect(storage.readStream('f', { signal })),
      () => storage.list('', { signal }),
      () => storage.write('g', bytes('x'), { signal }),
    ]) {
      const error = await call().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.is((error as Error | undefined)?.message, 'stop');
    }
    assert.equal(await storage.list(''), ['f']);
  });

  test('what a caller does to its buffers afterwards changes nothing', async () => {
    const storage = await target.open();
    const content = bytes('original');
    await storage.write('f', content);
    content.fill(0);
    (await storage.read('f')).fill(0);
    assert.is(text(await storage.read('f')), 'original');
  });

  test('memory that a source and a stream lend is theirs again as soon as they may have it', async () => {
    const storage = await target.open();
    const content = Buffer.from(seededRandom('lent').bytes(2_500_000), 'latin1');
    const { sha256, sizeBytes } = await storage.write('f', usingAgain(content));
    assert.is(sizeBytes, content.length);
    assert.is(sha256, createHash('sha256').update(content).digest('hex'));
    assert.ok(content.equals(await storage.read('f')));
    const seen: Buffer[] = [];
    let last: Uint8Array | undefined;
    for await (const piece of storage.readStream('f', { isLent: true })) {
      // One that was not asked past yet is as it was when it came.
      if (last !== undefined) assert.ok((seen.at(-1) as Buffer).equals(last), 'a piece changed while it was lent');
      last = piece;
      seen.push(Buffer.from(piece));
    }
    assert.ok(content.equals(Buffer.concat(seen)));
    assert.ok(content.equals(await storage.read('f')));
  });

  test('close is idempotent and keeps the files', async () => {
    const storage = await target.open();
    await storage.write('f', bytes('x'));
    await storage.close();
    await storage.close();
    assert.is(text(await (await target.reopen(storage)).read('f')), 'x');
  });

  test.run();
}

/** The StorageError that `call` rejects with; fails the test when it does not, or with another code. */
async function rejects(call: () => Promise<unknown>, code: string): Promise<{ message: string; isRetryable?: boolean }> {
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(isVarveError(error), `expected error ${code}, got ${String(error)}`);
  assert.is((error as { code?: string }).code, code);
  return error as { message: string; isRetryable?: boolean };
}

async function* unevenChunks(content: Uint8Array): AsyncGenerator<Uint8Array> {
  let size = 1;
  for (let at = 0; at < content.length; at += size, size = Math.min(300_000, size * 3)) yield content.subarray(at, at + size);
}

/** All chunks in one memory, which is garbage as soon as the next one is asked for, and for a while longer. */
async function* usingAgain(content: Uint8Array): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(300_000);
  for (let at = 0; at < content.length; at += memory.length) {
    const piece = content.subarray(at, at + memory.length);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
    memory.fill(0xee);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function* slowly(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const byte of content) {
    await new Promise((resolve) => setImmediate(resolve));
    yield Uint8Array.of(byte);
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const chunk of chunks) pieces.push(chunk);
  return Buffer.concat(pieces);
}

function byUtf8(names: readonly string[]): string[] {
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
