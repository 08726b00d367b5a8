/**
 * userfile://[database.schema.prefix]/path: files in two SQL tables (userfileTables.ts).
 *
 * An empty host is `defaultdb.public.userfiles_<user>`; `$user` in a host stands for the user.
 *
 *   F1  chunks go in by transactions of their own, under a file id that no file row names yet; the
 *       last transaction writes the file row and drops what the name held before: readers see the
 *       whole new file or the old one
 *   F2  a write that fails takes its chunks away again
 *   F3  a read, streams included, sees one moment
 *
 * Chunks are CHUNK_BYTES long but for the last, so a range is found by arithmetic.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';

import { assert } from '../base/assert.ts';
import { asBytes, type Bytes, fromBuffer, toBuffer, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { CorruptionError, StatementError, StorageError } from '../base/errors.ts';
import { prefixEnd, type Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Datum } from '../catalog/datum.ts';
import { type KeyValues, rowDecoder, spanForConstraint, tableCodec } from '../catalog/rowCodec.ts';
import type { Kv, KvReader, Txn } from '../kv/kv.ts';

import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageContext,
  StorageOperation,
  WriteOptions,
  WriteResult,
  WriteSource,
} from './externalStorage.ts';
import { checkBasePath, checkName, chunksOf, fileExists, gather, listing, missingFile } from './names.ts';
import type { ParsedUri } from './uri.ts';
import { columnId, ensureUserfileTables, findUserfileTables, type UserfileHost, type UserfileTables } from './userfileTables.ts';

/** Bytes in a chunk: what a ranged read reads too much at most, and one row's size. */
export const CHUNK_BYTES = 1 << 20;

const DEFAULT_DATABASE = 'defaultdb';
const DEFAULT_SCHEMA = 'public';
const DEFAULT_PREFIX = 'userfiles_';

/** One row of the files table. */
interface StoredFile {
  readonly name: Bytes;
  readonly fileId: Bytes;
  readonly sizeBytes: number;
}

/** Throws 22023 for a host that is no qualified name, or a path that is not normalised. */
export function openUserfile(uri: ParsedUri, context: StorageContext, kv: Kv, catalog: Catalog): ExternalStorage {
  uri.refuseOtherParameters([]);
  checkNormal(uri);
  checkBasePath(uri.path, uri);
  return new UserfileStorage(uri, parseUserfileHost(uri, context.user), context.user, kv, catalog);
}

/** Tables have no folders that a path could go up from. In CockroachDB's words. */
function checkNormal({ path }: ParsedUri): void {
  const normal = posix.join('/', path);
  if (`/${path}` === normal) return;
  throw new StatementError(
    SqlState.InvalidParameterValue,
    `path /${path} changes after normalization to ${normal}. userfile upload does not permit such path constructs`,
    { hint: 'remove empty, "." and ".." segments' },
  );
}

/** `db.schema.prefix`, parts in double quotes where they are no plain names; bare parts are lower-cased, as in SQL. */
export function parseUserfileHost(uri: ParsedUri, user: string): UserfileHost {
  if (uri.host === '') return { database: DEFAULT_DATABASE, schema: DEFAULT_SCHEMA, prefix: DEFAULT_PREFIX + user };
  const parts: string[] = [];
  const pattern = /(?:"((?:[^"]|"")+)"|([^".]+))(?:\.|$)/y;
  while (pattern.lastIndex < uri.host.length) {
    const match = pattern.exec(uri.host);
    if (!match) break;
    parts.push(match[1] === undefined ? (match[2] ?? '').toLowerCase().replaceAll('$user', user) : match[1].replaceAll('""', '"'));
    if (pattern.lastIndex === uri.host.length && !match[0].endsWith('.')) {
      const [database, schema, prefix, ...rest] = parts;
      if (database && schema && prefix && rest.length === 0) return { database, schema, prefix };
    }
  }
  throw new StatementError(SqlState.InvalidParameterValue, `host of a userfile URI must be database.schema.prefix: "${uri}"`, {
    hint: `userfile:///path uses ${DEFAULT_DATABASE}.${DEFAULT_SCHEMA}.${DEFAULT_PREFIX}${user}`,
  });
}

class UserfileStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });
  readonly #host: UserfileHost;
  readonly #user: string;
  readonly #kv: Kv;
  readonly #catalog: Catalog;
  /** '' or the base path with a trailing slash. */
  readonly #base: string;

  constructor(uri: ParsedUri, host: UserfileHost, user: string, kv: Kv, catalog: Catalog) {
    this.uri = uri;
    this.#host = host;
    this.#user = user;
    this.#kv = kv;
    this.#catalog = catalog;
    this.#base = uri.path === '' ? '' : `${uri.path}/`;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    const key = this.#key(name);
    const { signal, ifAbsent = false } = options;
    signal?.throwIfAborted();
    const tables = await this.#kv.run((txn) => ensureUserfileTables(this.#catalog, txn, this.#host, this.#user), {
      name: 'userfile tables',
    });
    const fileId = uuidBytes(this.#kv.ids.uuid());
    const hash = createHash('sha256');
    let sizeBytes = 0;
    try {
      if (ifAbsent && (await this.#kv.run((txn) => this.#find(txn, tables, key), { readOnly: true }))) throw fileExists(this.uri, name);
      for await (const chunk of evenChunks(chunksOf(source, signal), CHUNK_BYTES)) {
        hash.update(chunk);
        const offset = sizeBytes;
        await this.#kv.run((txn) => this.#writeChunk(txn, tables, fileId, offset, chunk), { name: 'userfile chunk', signal });
        sizeBytes += chunk.length;
      }
      signal?.throwIfAborted();
      const sha256 = hash.digest('hex');
      await this.#kv.run((txn) => this.#publish(txn, tables, name, { name: key, fileId, sizeBytes }, sha256, ifAbsent), {
        name: 'userfile',
      });
      return { sizeBytes, sha256 };
    } catch (error) {
      // F2. A failure to clean up must not hide why the write failed; the chunks are invisible either way.
      await this.#kv.run(async (txn) => this.#deleteChunks(txn, tables, fileId), { name: 'userfile cleanup' }).catch(() => undefined);
      throw error;
    }
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await gather(this.#pieces('read', name, options));
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return this.#pieces('readStream', name, options);
  }

  async size(name: string): Promise<number> {
    return (await this.#open('size', name, this.#reader())).file.sizeBytes;
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    options?.signal?.throwIfAborted();
    const reader = this.#reader();
    const tables = await findUserfileTables(this.#catalog, reader, this.#host, this.#user, 'SELECT');
    if (!tables) return [];
    const start = utf8Encode(this.#base + prefix);
    const span = spanForConstraint(tables.files, tables.files.primaryIndex, {
      equals: [],
      lower: { value: start, inclusive: true },
      ...(start === '' ? {} : { upper: { value: prefixEnd(start), inclusive: false } }),
    });
    if (!span) return [];
    const files = await this.#files(reader, tables, span);
    const names = files.map((file) => utf8Decode(file.name).slice(this.#base.length));
    return listing(names, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await this.#kv.run(
      async (txn) => {
        const tables = await findUserfileTables(this.#catalog, txn, this.#host, this.#user, 'DELETE');
        if (!tables) return;
        const file = await this.#find(txn, tables, this.#key(name), { forWrite: true });
        if (!file) return;
        txn.write(tableCodec(tables.files).lookupKeys([file.name]), [null]);
        await this.#deleteChunks(txn, tables, file.fileId);
      },
      { name: 'userfile delete' },
    );
  }

  async close(): Promise<void> {}

  /** The file's bytes in a range, a chunk at a time. */
  async *#pieces(operation: StorageOperation, name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    options.signal?.throwIfAborted();
    const reader = this.#reader();
    const { tables, file } = await this.#open(operation, name, reader);
    const offset = options.offset ?? 0;
    const end = Math.min(file.sizeBytes, offset + (options.length ?? file.sizeBytes));
    for (let at = offset; at < end; ) {
      options.signal?.throwIfAborted();
      const chunkOffset = at - (at % CHUNK_BYTES);
      const chunk = await this.#readChunk(reader, tables, file, chunkOffset, name);
      const piece = chunk.subarray(at - chunkOffset, Math.min(chunk.length, end - chunkOffset));
      at += piece.length;
      yield piece;
    }
  }

  /** Throws 58P01. */
  async #open(operation: StorageOperation, name: string, reader: KvReader): Promise<{ tables: UserfileTables; file: StoredFile }> {
    checkName(name);
    const tables = await findUserfileTables(this.#catalog, reader, this.#host, this.#user, 'SELECT');
    const file = tables && (await this.#find(reader, tables, this.#key(name)));
    if (!tables || !file) throw missingFile(this.uri, operation, name);
    return { tables, file };
  }

  /** One chunk, whole. Throws XX001 when it is missing or has another length: someone changed the tables by hand. */
  async #readChunk(reader: KvReader, tables: UserfileTables, file: StoredFile, offset: number, name: string): Promise<Buffer> {
    const { payload } = tables;
    const [key] = tableCodec(payload).lookupKeys([file.fileId, offset]);
    assert(key !== undefined, 'a row has a key');
    const [value] = await reader.get([key]);
    const decoder = rowDecoder(payload, payload.primaryIndex, [columnId(payload, 'payload')]);
    const chunk = value === undefined ? undefined : toBuffer(decoder.decodeOne(key, value)[0] as Bytes);
    const expected = Math.min(CHUNK_BYTES, file.sizeBytes - offset);
    if (chunk?.length !== expected) {
      throw new CorruptionError(SqlState.DataCorrupted, `userfile "${name}" in "${this.uri}" is corrupt at offset ${offset}`, {
        file: name,
        offset,
        detail: `expected a chunk of ${expected} bytes, found ${chunk?.length ?? 'none'}`,
      });
    }
    return chunk;
  }

  async #writeChunk(txn: Txn, tables: UserfileTables, fileId: Bytes, offset: number, chunk: Buffer): Promise<void> {
    await this.#requireSame(txn, tables);
    this.#writeRow(txn, tables.payload, [fileId, offset, fromBuffer(chunk)]);
  }

  /** Gives the name to the new chunks, and drops those it had. Throws 58P02. */
  async #publish(txn: Txn, tables: UserfileTables, name: string, file: StoredFile, sha256: string, ifAbsent: boolean): Promise<void> {
    await this.#requireSame(txn, tables);
    const before = await this.#find(txn, tables, file.name, { forWrite: true });
    if (before && ifAbsent) throw fileExists(this.uri, name);
    this.#writeRow(txn, tables.files, [file.name, file.fileId, file.sizeBytes, utf8Encode(this.#user), txn.readTimestamp, asBytes(sha256)]);
    if (before) await this.#deleteChunks(txn, tables, before.fileId);
  }

  /** Fails when the tables are not those that the write began with: they were dropped meanwhile. */
  async #requireSame(txn: Txn, tables: UserfileTables): Promise<void> {
    const found = await findUserfileTables(this.#catalog, txn, this.#host, this.#user, 'INSERT');
    if (found?.files.id === tables.files.id && found.payload.id === tables.payload.id) return;
    throw new StorageError(SqlState.IoError, `the tables of "${this.uri}" were dropped during a write`, {
      operation: 'write',
      redactedUri: String(this.uri),
      isRetryable: true,
    });
  }

  async #find(
    reader: KvReader | Txn,
    tables: UserfileTables,
    key: Bytes,
    options: { forWrite?: boolean } = {},
  ): Promise<StoredFile | undefined> {
    const keys = tableCodec(tables.files).lookupKeys([key]);
    if (options.forWrite && 'lock' in reader) await reader.lock(keys);
    const [value] = await reader.get(keys, { validated: options.forWrite });
    const [rowKey] = keys;
    return value === undefined || rowKey === undefined ? undefined : decodeFiles(tables, [rowKey], [value])[0];
  }

  async #files(reader: KvReader, tables: UserfileTables, span: Span): Promise<StoredFile[]> {
    const files: StoredFile[] = [];
    for (let rest: Span | undefined = span; rest; ) {
      const { keys, values, resume } = await reader.scan(rest, { maxBytes: CHUNK_BYTES });
      files.push(...decodeFiles(tables, keys, values));
      rest = resume === undefined ? undefined : { key: resume, endKey: span.endKey };
    }
    return files;
  }

  async #deleteChunks(txn: Txn, tables: UserfileTables, fileId: Bytes): Promise<void> {
    const { payload } = tables;
    const span = spanForConstraint(payload, payload.primaryIndex, { equals: [fileId] });
    for (let rest = span; rest; ) {
      const { keys, resume } = await txn.scan(rest, { maxBytes: 16 * CHUNK_BYTES });
      if (keys.length > 0) {
        await txn.lock(keys);
        txn.write(
          keys,
          keys.map(() => null),
        );
      }
      rest = resume === undefined ? undefined : { key: resume, endKey: rest.endKey };
    }
  }

  #writeRow(txn: Txn, table: UserfileTables['files'], row: readonly Datum[]): void {
    const out: KeyValues = { keys: [], values: [] };
    tableCodec(table).encodeRow(row, out);
    txn.write(out.keys, out.values);
  }

  #reader(): KvReader {
    return this.#kv.at(this.#kv.reading());
  }

  #key(name: string): Bytes {
    return utf8Encode(this.#base + name);
  }
}

function decodeFiles(tables: UserfileTables, keys: readonly Bytes[], values: readonly Bytes[]): StoredFile[] {
  const { files } = tables;
  const wanted = ['filename', 'file_id', 'file_size'].map((name) => columnId(files, name));
  const rows: Datum[][] = [];
  rowDecoder(files, files.primaryIndex, wanted).decode(keys, values, true, rows);
  return rows.map((row) => ({ name: row[0] as Bytes, fileId: row[1] as Bytes, sizeBytes: row[2] as number }));
}

/** The same bytes in chunks of `size`, the last one shorter. */
async function* evenChunks(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + size - pendingBytes);
      pending.push(piece);
      pendingBytes += piece.length;
      at += piece.length;
      if (pendingBytes === size) {
        yield Buffer.concat(pending);
        pending = [];
        pendingBytes = 0;
      }
    }
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}

function uuidBytes(uuid: string): Bytes {
  return fromBuffer(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
}
