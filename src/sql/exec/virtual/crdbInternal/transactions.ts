/**
 * crdb_internal: open transactions, the locks they hold and wait for, and the keys they met at.
 */
import { prettyKey } from '../../../../base/prettyKey.ts';
import { indexById } from '../../../../catalog/descriptor.ts';
import { Type } from '../../../../catalog/type.ts';
import type { Bytes } from '../../../../base/bytes.ts';
import { indexOfKey } from '../../../../kv/indexOfKey.ts';
import { isolationText } from '../../isolationLevels.ts';
import type { SessionState } from '../../statement.ts';
import type { CatalogView } from '../catalogView.ts';
import { inSchema } from '../defineTable.ts';
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

const clusterLocks = table(
  'cluster_locks',
  {
    table_id: Type.Int8,
    ...NAME_COLUMNS,
    lock_key: Type.Bytes,
    lock_key_pretty: Type.String,
    txn_id: Type.String,
    lock_strength: Type.String,
    durability: Type.String,
    granted: Type.Bool,
    contended: Type.Bool,
    isolation_level: Type.String,
  },
  function* (view) {
    const { kv } = view.context.engine;
    const open = new Map<string, SessionState>();
    for (const session of visibleSessions(view)) {
      const id = session.transaction?.kvTxn?.id;
      if (id !== undefined) open.set(id, session);
    }
    for (const lock of kv.locks.list()) {
      const pretty = lock.endKey === undefined ? prettyKey(lock.key) : `${prettyKey(lock.key)} - ${prettyKey(lock.endKey)}`;
      for (const [ids, granted] of [
        [lock.holders, true],
        [lock.waiters, false],
      ] as const) {
        for (const id of ids) {
          const isolation = open.get(id)?.transaction?.options.isolation;
          yield {
            ...namesOf(view, lock.key),
            lock_key: lock.key,
            lock_key_pretty: pretty,
            txn_id: id,
            lock_strength: lock.strength === 'exclusive' ? 'Exclusive' : 'Shared',
            durability: 'Unreplicated',
            granted,
            contended: lock.waiters.length > 0,
            isolation_level: isolation && isolationText(isolation).replace(' ', '_').toUpperCase(),
          };
        }
      }
    }
  },
);

const TRANSACTION_COLUMNS = {
  id: Type.String,
  node_id: Type.Int8,
  session_id: Type.String,
  start: Type.Timestamp,
  application_name: Type.String,
  num_stmts: Type.Int8,
  isolation_level: Type.String,
  priority: Type.String,
} as const;

function* transactionRows(view: CatalogView) {
  for (const session of visibleSessions(view)) {
    const { transaction } = session;
    // Under AS OF SYSTEM TIME there is no transaction of the key-value layer.
    if (!transaction?.kvTxn) continue;
    yield {
      id: transaction.kvTxn.id,
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
