/**
 * ExternalStorage: the one port through which backup files leave the database. Types and contract only.
 *
 * An instance is one opened base URI. Names are relative to it, '/'-separated, without a leading or
 * trailing slash, without empty, `.` or `..` segments (names.ts checks). No name is at the same time
 * a folder of another name: object stores would allow it, folders on disk cannot.
 *
 * What every adapter promises (test/storage/conformance.ts is the proof)
 *   S1  a write is atomic: the name shows the whole new content or what was there before, also when
 *       the writer aborts, fails or dies in the middle
 *   S2  after a write resolves, every reader and listing of the same location sees it
 *   S3  with `ifAbsent`, of any number of concurrent writers exactly one succeeds, the others get
 *       58P02 and change nothing. Only where `capabilities.conditionalCreate`
 *   S4  a missing name is 58P01 on read, readStream and size; deleting a missing name succeeds
 *   S5  listings are complete, sorted by UTF-8 bytes, free of duplicates and of unfinished writes
 *   S6  errors are StorageError with the redacted location; `isRetryable` says that the same call
 *       may succeed later without anybody changing anything. An aborted call rejects with its
 *       signal's reason
 *
 * Without `delete`, delete() throws 0A000; without `list`, list() does; without `conditionalCreate`,
 * `ifAbsent` does. Callers look at `capabilities` first and take their documented other way.
 */
import type { SecretServices } from './secretServices.ts';
import type { ParsedUri } from './uri.ts';

export interface StorageCapabilities {
  readonly list: boolean;
  readonly delete: boolean;
  readonly conditionalCreate: boolean;
}

/**
 * Content to write. A Uint8Array or an array of them can be sent again by a retry; an async
 * iterable is read once, and a failure after its first chunk is final. A chunk of an iterable is the
 * storage's until it asks for the next one: its memory is used again then.
 */
export type WriteSource = Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array>;

export interface WriteOptions {
  readonly signal?: AbortSignal;
  /** Fails with 58P02 when the name exists, in one atomic step with the write. */
  readonly ifAbsent?: boolean;
}

/** What was stored, measured on the bytes as they went out. */
export interface WriteResult {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal SHA-256 of the content. */
  readonly sha256: string;
}

/** The range [offset, offset + length), cut at the end of the file; the whole file by default. */
export interface ReadOptions {
  readonly offset?: number;
  readonly length?: number;
  readonly signal?: AbortSignal;
  /** Of a stream: a piece is the reader's only until it asks for the next but one. Its memory may be used again then. */
  readonly isLent?: boolean;
}

export interface ListOptions {
  /** Folds everything after the first '/' behind the prefix into one entry that ends in '/'. */
  readonly delimiter?: '/';
  readonly signal?: AbortSignal;
}

export type StorageOperation = 'write' | 'read' | 'readStream' | 'size' | 'list' | 'delete';

export interface ExternalStorage {
  /** The base location. Printing it never shows a secret. */
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  /** Stores the content under the name, replacing what is there unless `ifAbsent`. */
  write(name: string, source: WriteSource, options?: WriteOptions): Promise<WriteResult>;
  /** The bytes of a range. A range that begins at or after the end is empty. */
  read(name: string, options?: ReadOptions): Promise<Uint8Array>;
  /** The same in pieces of the adapter's choice, in order; at most a few pieces are in memory. */
  readStream(name: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** Stored size in bytes. */
  size(name: string): Promise<number>;
  /**
   * Names that start with `prefix`, whole (prefix included), sorted. The prefix is plain text: it
   * may end in the middle of a segment. An empty or absent location gives an empty list.
   */
  list(prefix: string, options?: ListOptions): Promise<string[]>;
  /** Removes the name; succeeds when there is none. */
  delete(name: string): Promise<void>;
  /** Releases what the instance holds. Idempotent. Files stay. */
  close(): Promise<void>;
}

/** Who opens, and where: adapters take default hosts and local files from it. */
export interface StorageContext {
  readonly user: string;
  /** The node that does the work. */
  readonly nodeId: number;
}

export interface StorageFactory {
  /** What encrypts files that leave the database, and keeps their keys. */
  readonly secrets: SecretServices;
  /**
   * Opens a base location. Throws 22023 for a malformed URI, an unknown scheme or parameter, and
   * 0A000 for a scheme that this build does not carry. Touches neither disk nor network.
   */
  open(uri: string | ParsedUri, context: StorageContext): ExternalStorage;
}
