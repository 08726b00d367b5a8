/** What the tests of kv and gc share: a small cluster on a manual clock, and readable keys. */
import type { Bytes } from '../../src/base/bytes.ts';
import { utf8Decode, utf8Encode } from '../../src/base/bytes.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { KeyReader, KeyWriter, tablePrefix } from '../../src/base/keycode.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Span } from '../../src/base/span.ts';
import { prefixSpan } from '../../src/base/span.ts';
import type { Kv, KvOptions, KvReader, ScanOptions } from '../../src/kv/kv.ts';
import { openKv } from '../../src/kv/localKv.ts';

export const TABLE = 106;

export interface TestKv {
  readonly kv: Kv;
  readonly clock: ManualClock;
}

/** `sliceCount`: how many looks at the clock a time slice has; small numbers make long work interleave. */
export function makeKv(options: Partial<Omit<KvOptions, 'clock' | 'ids'>> & { sliceCount?: number; seed?: number } = {}): TestKv {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const { sliceCount, seed = 1, ...rest } = options;
  const kv = openKv({ clock, executor: new InlineExecutor(sliceCount), ids: new Ids(seededRandom(seed), clock), ...rest });
  return { kv, clock };
}

const writer = new KeyWriter();

/** `a` in index 1 of table 106; `107:a` in table 107; `107/2:a` in its index 2. */
export function key(name: string): Bytes {
  const match = /^(?:(\d+)(?:\/(\d+))?:)?(.*)$/.exec(name);
  const [, table = String(TABLE), index = '1', text = ''] = match ?? [];
  return writer.reset().tableIndex(Number(table), Number(index)).bytes(utf8Encode(text)).family(0).finish();
}

/** Keys of a number, which sort as numbers do. */
export function numberKey(n: number, tableId = TABLE): Bytes {
  return writer.reset().tableIndex(tableId, 1).int(n).family(0).finish();
}

/** The inverse of key(). */
export function keyName(encoded: Bytes): string {
  const reader = new KeyReader(encoded);
  const table = reader.id();
  const index = reader.id();
  const text = reader.done ? '' : utf8Decode(reader.bytes());
  return index !== 1 ? `${table}/${index}:${text}` : table !== TABLE ? `${table}:${text}` : text;
}

export function tableSpan(tableId = TABLE): Span {
  return prefixSpan(tablePrefix(tableId));
}

export function value(text: string): Bytes {
  return utf8Encode(text);
}

/** `a=1 b=2` of everything a reader sees in the table. */
export async function rows(reader: KvReader, options: ScanOptions = {}, span: Span = tableSpan()): Promise<string> {
  const { keys, values } = await reader.scan(span, options);
  return keys.map((k, i) => `${keyName(k)}=${utf8Decode(values[i] as Bytes)}`).join(' ');
}

/** Commits `a=1`, or deletes for null, in one transaction. */
export async function put(kv: Kv, writes: Record<string, string | null>): Promise<number> {
  const txn = kv.begin();
  txn.write(
    Object.keys(writes).map(key),
    Object.values(writes).map((text) => (text === null ? null : value(text))),
  );
  return txn.commit();
}

/** What a promise is rejected with; fails when it is not. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; detail?: string; hint?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}
