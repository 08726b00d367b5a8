/**
 * SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE: of each index, the fingerprint of its stored entries: equal for a table and
 * its copy under another name or id, whatever was written and deleted on the way.
 *
 * It is the fingerprint that a backup records (base/fingerprint.ts), not CockroachDB's: that one hashes values as
 * text. Cost: the table; with AS OF SYSTEM TIME as it was then.
 */
import { EntryHasher, Fingerprint } from '../../base/fingerprint.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { utf8Encode, type Bytes } from '../../base/bytes.ts';
import type { Span } from '../../base/span.ts';
import type { Datum } from '../../catalog/datum.ts';
import { allIndexes, type TableDescriptor } from '../../catalog/descriptor.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import { indexSpan } from '../../catalog/rowCodec.ts';
import { Type } from '../../catalog/type.ts';
import type { Executor } from '../../base/executor.ts';
import type { KvReader } from '../../kv/kv.ts';
import type { ShowFingerprints } from '../parse/ast.ts';
import type { StatementContext, StatementHooks } from './statement.ts';

const COLUMNS = [
  { name: 'index_name', type: Type.String },
  { name: 'fingerprint', type: Type.String },
];
const BATCH_BYTES = 1 << 20;

export function registerShowFingerprints(hooks: StatementHooks): void {
  hooks.register<ShowFingerprints>('showFingerprints', {
    columns: () => COLUMNS,
    run: async (context, stmt) => {
      const rows = await fingerprintRows(context, stmt);
      return { tag: `SHOW EXPERIMENTAL_FINGERPRINTS ${rows.length}`, rows, rowCount: rows.length };
    },
    isReadOnly: true,
  });
}

async function fingerprintRows(context: StatementContext, { table: name, asOf }: ShowFingerprints): Promise<Datum[][]> {
  const { kv, catalog } = context.engine;
  const at = asOf && (await context.resolveAsOf(asOf.expr));
  const reader = at === undefined ? context.reader : kv.at(at);
  const snapshot =
    at === undefined ? await context.catalog() : catalog.withAttached(catalog.withPasts(await catalog.snapshot(reader), reader));
  const table = snapshot.requireTable(
    name.parts.map((part) => part.text),
    context.names,
  ).descriptor;
  checkPrivilege(await context.roles(), table, 'SELECT');
  checkHasRows(table);
  const rows: Datum[][] = [];
  for (const index of allIndexes(table)) {
    if (index.id !== table.primaryIndex.id && index.state !== 'public') continue;
    const sum = await fingerprintOf(reader, indexSpan(table, index), kv.executor, context.signal);
    rows.push([utf8Encode(index.name), utf8Encode(sum.toHex())]);
  }
  return rows;
}

/** The fingerprint of the live entries of one index. */
async function fingerprintOf(reader: KvReader, span: Span, executor: Executor, signal: AbortSignal): Promise<Fingerprint> {
  const hasher = new EntryHasher();
  const sum = new Fingerprint();
  const skip = span.key.length;
  for (let { key } = span; key < span.endKey; ) {
    signal.throwIfAborted();
    const { keys, values, resume } = await reader.scan({ key, endKey: span.endKey }, { maxBytes: BATCH_BYTES });
    for (let i = 0; i < keys.length; i++) {
      hasher.hash(keys[i] as Bytes, skip, values[i] as Bytes);
      sum.addHash(hasher.entry);
    }
    key = resume ?? span.endKey;
    if (executor.shouldYield()) await executor.yield();
  }
  return sum;
}

/** 42809 for what stores no rows. */
function checkHasRows(table: TableDescriptor): void {
  if (!table.sequence && (!table.view || table.view.isMaterialized)) return;
  throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is not a table`);
}
