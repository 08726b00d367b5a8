/**
 * External connections: names for URIs of storage and of keys, over the rows of system.external_connections.
 *
 * The rows are kept in memory by a commit hook, so that opening a storage by its connection's name is a map
 * look-up: a change counts for whatever is opened after it commits. Their URIs are as they were given, secrets
 * included: nothing here prints them.
 *
 * Lives elsewhere: what may be done with one (globalPrivileges.ts), what it opens (storage/external/).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { CommittedWrites, Kv, KvReader, Txn } from '../kv/kv.ts';

import { connectionPath, grantOnPath, pathGrants } from './globalPrivileges.ts';
import { type PlainRow, systemTable } from './systemRows.ts';

export type ConnectionType = 'STORAGE' | 'KMS';

export interface ExternalConnection {
  readonly name: string;
  readonly type: ConnectionType;
  /** What it stands for, in CockroachDB's words: `s3`, `nodelocal`, `gcp_kms`. */
  readonly provider: string;
  /** Secrets included. */
  readonly uri: string;
  readonly owner: string;
}

export class ExternalConnections {
  readonly #connections = new Map<string, ExternalConnection>();
  readonly #removeHook: () => void;

  private constructor(kv: Kv) {
    this.#removeHook = kv.addCommitHook(systemTable('external_connections').span, { apply: (writes) => this.#apply(writes) });
  }

  /** Reads the rows and follows them from then on. */
  static async open(kv: Kv): Promise<ExternalConnections> {
    const connections = new ExternalConnections(kv);
    connections.#apply(await kv.at(kv.reading()).scan(systemTable('external_connections').span));
    return connections;
  }

  /** For a fork of the cluster, just made: the same connections, and what its own commits make of them. */
  fork(kv: Kv): ExternalConnections {
    const fork = new ExternalConnections(kv);
    for (const [name, connection] of this.#connections) fork.#connections.set(name, connection);
    return fork;
  }

  /** The connection as it was last committed; undefined when there is none of that name. */
  get(name: string): ExternalConnection | undefined {
    return this.#connections.get(name);
  }

  close(): void {
    this.#removeHook();
  }

  #apply(writes: CommittedWrites): void {
    const table = systemTable('external_connections');
    writes.keys.forEach((key, i) => {
      const value = writes.values[i] ?? null;
      if (value === null) this.#connections.delete(String(table.decodeKey(key)['connection_name']));
      else {
        const connection = connectionOf(table.decode(key, value));
        this.#connections.set(connection.name, connection);
      }
    });
  }
}

/** The connection as a reader sees it, its own transaction's change included. */
export async function readConnection(reader: KvReader, name: string): Promise<ExternalConnection | undefined> {
  const row = await systemTable('external_connections').get(reader, name);
  return row && connectionOf(row);
}

/** All of them, by name. */
export async function readConnections(reader: KvReader): Promise<ExternalConnection[]> {
  return (await systemTable('external_connections').scan(reader)).map(connectionOf);
}

/** Writes a new one, of which its owner holds ALL. Throws 42710. */
export async function createConnection(txn: Txn, connection: ExternalConnection): Promise<void> {
  if (await readConnection(txn, connection.name)) {
    throw new StatementError(
      SqlState.DuplicateObject,
      `failed to create external connection: external connection with connection name '${connection.name}' already exists`,
      { hint: 'ALTER EXTERNAL CONNECTION changes its URI' },
    );
  }
  await systemTable('external_connections').upsert(txn, rowOf(connection, { created: txn.readTimestamp, updated: txn.readTimestamp }));
  await grantOnPath(txn, connection.owner, connectionPath(connection.name), ['ALL']);
}

/** Gives an existing one another URI; its owner and its grants stay. */
export async function alterConnection(txn: Txn, { owner: _, ...connection }: ExternalConnection): Promise<void> {
  const { connection_name, ...changes } = rowOf(connection, { updated: txn.readTimestamp });
  await systemTable('external_connections').update(txn, [connection_name], changes);
}

/** Takes it away with every grant on it; false when there is none. */
export async function dropConnection(txn: Txn, name: string): Promise<boolean> {
  const path = connectionPath(name);
  for (const { grantee } of await pathGrants(txn, path)) await systemTable('privileges').delete(txn, grantee, path);
  return await systemTable('external_connections').delete(txn, name);
}

interface Details {
  readonly provider: string;
  readonly simpleUri: { readonly uri: string };
}

/** What a row of a hand from elsewhere may lack shows when it is opened, as a URI that is none. */
const NO_DETAILS: Details = { provider: '', simpleUri: { uri: '' } };

function connectionOf(row: PlainRow): ExternalConnection {
  const { provider, simpleUri } = { ...NO_DETAILS, ...(row['connection_details'] as Partial<Details> | null) };
  return {
    name: String(row['connection_name']),
    type: row['connection_type'] === 'KMS' ? 'KMS' : 'STORAGE',
    provider: String(provider),
    uri: String(simpleUri?.uri ?? ''),
    owner: String(row['owner']),
  };
}

function rowOf({ name, type, provider, uri, ...rest }: Omit<ExternalConnection, 'owner'>, times: PlainRow): PlainRow {
  const details: Details = { provider, simpleUri: { uri } };
  return { connection_name: name, connection_type: type, connection_details: details, ...rest, ...times };
}
