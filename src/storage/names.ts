/**
 * Names in a storage location, and the small pieces every adapter shares: the check of a name, the
 * order of listings, folding by delimiter, and errors in one wording.
 */
import { StatementError, StorageError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ListOptions, StorageOperation, WriteSource } from './externalStorage.ts';
import type { ParsedUri } from './uri.ts';

/** Longest name, in UTF-8 bytes: what object stores take. It stops a bad loop before the disk does. */
export const NAME_BYTES_MAX = 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const CONTROL = /[\x00-\x1f\x7f]/;

/** Throws 22023 unless the name keeps the rules of externalStorage.ts. */
export function checkName(name: string): void {
  const problem =
    name === ''
      ? 'is empty'
      : CONTROL.test(name)
        ? 'has a control character'
        : !name.isWellFormed()
          ? 'is not valid Unicode'
          : Buffer.byteLength(name) > NAME_BYTES_MAX
            ? `is longer than ${NAME_BYTES_MAX} bytes`
            : name.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')
              ? 'is not normalised (empty, "." or ".." segment)'
              : undefined;
  if (problem) throw new StatementError(SqlState.InvalidParameterValue, `file name "${name}" ${problem}`);
}

/** The same rules for the path of a base URI, which may be empty. */
export function checkBasePath(path: string, uri: ParsedUri): void {
  if (path === '') return;
  try {
    checkName(path);
  } catch (cause) {
    throw new StatementError(SqlState.InvalidParameterValue, `path of "${uri}" is not normalised`, {
      detail: cause instanceof Error ? cause.message : undefined,
      hint: 'remove empty, "." and ".." segments',
    });
  }
}

/** Orders names by their UTF-8 bytes. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  // UTF-16 order differs from UTF-8 order only where surrogates take part.
  if (!SURROGATE.test(a) && !SURROGATE.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
/** Where it is in neither of two names, UTF-16 orders them as UTF-8 does. */
export const SURROGATE = /[\ud800-\udfff]/;

/** Names with the prefix, sorted and folded as ListOptions says. Takes names in any order. */
export function listing(names: Iterable<string>, prefix: string, options: ListOptions | undefined): string[] {
  const found = new Set<string>();
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const slash = options?.delimiter ? name.indexOf('/', prefix.length) : -1;
    found.add(slash === -1 ? name : name.slice(0, slash + 1));
  }
  return [...found].sort(compareNames);
}

/** As listing, for object stores: tools that think in folders make empty objects whose names end in a slash, and none of ours. */
export function objectListing(names: readonly string[], prefix: string, options: ListOptions | undefined): string[] {
  return listing(options?.delimiter ? names : names.filter((name) => !name.endsWith('/') && name !== ''), prefix, options);
}

/** All of a stream whose pieces are its reader's to keep. One piece is not copied. */
export async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for await (const piece of pieces) found.push(piece);
  return found.length === 1 && found[0] ? found[0] : Buffer.concat(found);
}

/** 58P01. */
export function missingFile(uri: ParsedUri, operation: StorageOperation, name: string, cause?: unknown): StorageError {
  return new StorageError(SqlState.UndefinedFile, `no such file "${name}" in "${uri}"`, { operation, redactedUri: String(uri), cause });
}

/** 58P02. */
export function fileExists(uri: ParsedUri, name: string, cause?: unknown): StorageError {
  return new StorageError(SqlState.DuplicateFile, `file "${name}" exists already in "${uri}"`, {
    operation: 'write',
    redactedUri: String(uri),
    cause,
  });
}

/**
 * The chunks of a source, one after another; stops with the signal's reason when it aborts. Whoever takes a chunk may
 * keep it: those of an iterable, whose memory may be used again, are copied.
 */
export async function* chunksOf(source: WriteSource, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const isKept = isReplayable(source);
  for await (const chunk of lentChunksOf(source, signal)) yield isKept ? chunk : Buffer.from(chunk);
}

/** The same for who is done with a chunk when asking for the next: nothing is copied. */
export async function* lentChunksOf(source: WriteSource, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted();
  const chunks = source instanceof Uint8Array ? [source] : source;
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    if (chunk.length > 0) yield chunk;
  }
  signal?.throwIfAborted();
}

/** True when a retry can send the source again. */
export function isReplayable(source: WriteSource): source is Uint8Array | readonly Uint8Array[] {
  return source instanceof Uint8Array || Array.isArray(source);
}
