/**
 * crdb_internal: open transactions, the locks they hold and wait for, and the keys they met at.
 */
import { createHash } from 'node:crypto';

import { type Bytes, fromBuffer } from '../../../../base/bytes.ts';
import { prettyKey } from '../../../../base/prettyKey.ts';
import { indexById } from '../../../../catalog/descriptor.ts';
import { Interval } from '../../../../catalog/interval.ts';
import { Type } from '../../../../catalog/type.ts';
import { indexOfKey } from '../../../../kv/indexOfKey.ts';
import { isolationText } from '../../isolationLevels.ts';
import type { SessionState } from '../../statement.ts';
import type { CatalogView } from '../catalogView.ts';
import { hidden, inSchema } from '../defineTable.ts';
import { visibleSessions } from '../pgCatalog/server.ts';

const table = inSchema('crdb_internal');

const NAME_COLUMNS = {
  database_name: Type.String,
  schema_name: Type.String,
  table_name: Type.String,
  index_name: Type.String,
} as const;

/** What a key belongs to, in the words of the catalog; empty for what is no more. */
function namesOf(view: CatalogView, key: Bytes) {
  const { tableId, indexId } = indexOfKey(key);
  const descriptor = view.snapshot.tableById(tableId);
  const [database_name = '', schema_name = '', table_name = ''] = descriptor ? view.snapshot.fullName(descriptor) : [];
  return {
    table_id: tableId,
    database_name,
    schema_name,
    table_name,
    index_name: (descriptor && indexById(descriptor, indexId)?.name) ?? '',
  };
}

/** A transaction's name as the UUID that CockroachDB shows: version 3 of RFC 9562, made from the name. */
function transactionUuid(id: string): Bytes {
  const hash = createHash('md5').update(id).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x30;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return fromBuffer(hash);
}

const clusterLocks = table(
  'cluster_locks',
  {
    range_id: Type.Int8,
    table_id: Type.Int8,
    ...NAME_COLUMNS,
    lock_key: Type.Bytes,
    lock_key_pretty: Type.String,
    txn_id: Type.Uuid,
    ts: Type.Timestamp,
    lock_strength: Type.String,
    durability: Type.String,
    granted: Type.Bool,
    contended: Type.Bool,
    duration: Type.Interval,
    isolation_level: Type.String,
  },
  function* (view) {
    const { kv } = view.context.engine;
    const open = new Map<string, SessionState>();
    for (const session of visibleSessions(view)) {
      const id = session.transaction?.kvTxn?.id;
      if (id !== undefined) open.set(id, session);
    }
    const since = kv.locks.times();
    const now = kv.clock.nowMicros();
    for (const lock of kv.locks.list()) {
      const range_id = kv.ranges.lookup(lock.key)?.rangeId;
      const pretty = lock.endKey === undefined ? prettyKey(lock.key) : `${prettyKey(lock.key)} - ${prettyKey(lock.endKey)}`;
      for (const [ids, granted] of [
        [lock.holders, true],
        [lock.waiters, false],
      ] as const) {
        for (const id of ids) {
          const transaction = open.get(id)?.transaction;
          const isolation = transaction?.options.isolation;
          const from = since(id, lock.key);
          yield {
            range_id,
            ...namesOf(view, lock.key),
            lock_key: lock.key,
            lock_key_pretty: pretty,
            txn_id: transactionUuid(id),
            // Where the transaction would commit if nothing had moved.
            ts: transaction?.reader.readTimestamp,
            lock_strength: lock.strength === 'exclusive' ? 'Exclusive' : 'Shared',
            durability: 'Unreplicated',
            granted,
            contended: lock.waiters.length > 0,
            duration: from === undefined ? undefined : new Interval(0, 0, Math.max(0, Math.floor(now - from))),
            isolation_level: isolation && isolationText(isolation).replace(' ', '_').toUpperCase(),
          };
        }
      }
    }
  },
);

const TRANSACTION_COLUMNS = {
  id: Type.Uuid,
  node_id: Type.Int8,
  session_id: Type.String,
  start: Type.Timestamp,
  txn_string: Type.String,
  application_name: Type.String,
  num_stmts: Type.Int8,
  num_retries: Type.Int8,
  num_auto_retries: Type.Int8,
  isolation_level: hidden(Type.String),
  priority: hidden(Type.String),
} as const;

function* transactionRows(view: CatalogView) {
  for (const session of visibleSessions(view)) {
    const { transaction } = session;
    // Under AS OF SYSTEM TIME there is no transaction of the key-value layer.
    if (!transaction?.kvTxn) continue;
    yield {
      id: transactionUuid(transaction.kvTxn.id),
      node_id: session.nodeId,
      session_id: session.id,
      start: transaction.startTimestamp,
      application_name: session.vars.get('application_name'),
      num_stmts: transaction.statementCount,
      isolation_level: isolationText(transaction.options.isolation).replace(' ', '_').toUpperCase(),
      priority: transaction.options.priority,
    };
  }
}

const clusterTransactions = table('cluster_transactions', TRANSACTION_COLUMNS, transactionRows);

const nodeTransactions = table('node_transactions', TRANSACTION_COLUMNS, function* (view) {
  for (const row of transactionRows(view)) if (row.node_id === view.context.session.nodeId) yield row;
});

const clusterContendedKeys = table(
  'cluster_contended_keys',
  { ...NAME_COLUMNS, key: Type.String, num_contention_events: Type.Int8 },
  function* (view) {
    for (const { key, waits } of view.context.engine.kv.locks.contended()) {
      const { table_id: _, ...names } = namesOf(view, key);
      yield { ...names, key: prettyKey(key), num_contention_events: waits };
    }
  },
);

export const transactionTables = [clusterContendedKeys, clusterLocks, clusterTransactions, nodeTransactions];
