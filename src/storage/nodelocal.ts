/**
 * nodelocal://HOST/path: files under the external IO directory (--external-io-dir).
 *
 * All nodes of the cluster share that one directory, so HOST (a node id, `self`, or 0, which
 * CockroachDB reads as `self`) only has to name a node that exists; files can never scatter.
 *
 *   N1  a write goes to a temporary file beside its target, then takes the name in one rename (or
 *       one link, for `ifAbsent`); temporary names never appear in a listing
 *   N2  nothing outside the directory is read or written: `..` is refused, and the real path of a
 *       file's folder has to lie inside the real path of the directory, before a file is made and after it is
 *       open, and before anything of it is read; symbolic links to files are neither followed nor listed
 *   N3  deleting a file removes the folders that it leaves empty
 *
 * What a call costs are its trips to the thread pool: a small file is read in two, and written in five where its folder
 * is there. What the system answers of an open file without a look at the disk is asked on the spot.
 *
 * Durability against power loss is not promised unless `fsync` is set: a database in memory loses
 * more than its newest backup file then.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, open as openWithCallback, read as readWithCallback, readlinkSync } from 'node:fs';
import { copyFile, link, lstat, mkdir, open, readdir, realpath, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, posix, sep } from 'node:path';
import { promisify } from 'node:util';

import { StatementError, StorageError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

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
import { checkBasePath, checkName, fileExists, gather, lentChunksOf, listing, missingFile } from './names.ts';
import { isTemporary, temporaryName } from './nodelocalTemporary.ts';
import type { ParsedUri } from './uri.ts';

export interface NodelocalOptions {
  /** The directory; undefined when nodelocal is disabled. It is made at the first write. */
  readonly externalIoDir: string | undefined;
  /** True when a node of this id exists. */
  readonly hasNode: (nodeId: number) => boolean;
  /** Flushes file and folder to the device before a write resolves. Off by default. */
  readonly fsync?: boolean;
}

const READ_PIECE_BYTES = 1 << 20;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Descriptors without the promises that a FileHandle makes of their end. */
const openFile = promisify(openWithCallback);
const readInto = promisify(readWithCallback);

/** Throws 22023 for a bad host or path, 55000 when nodelocal is disabled. */
export function openNodelocal(uri: ParsedUri, context: StorageContext, options: NodelocalOptions): ExternalStorage {
  uri.refuseOtherParameters([]);
  if (options.externalIoDir === undefined) {
    throw new StatementError(SqlState.ObjectNotInPrerequisiteState, 'local file access is disabled', {
      hint: 'start the server with --external-io-dir',
    });
  }
  checkHost(uri, context, options);
  checkInside(uri);
  checkBasePath(uri.path, uri);
  return new NodelocalStorage(uri, options.externalIoDir, options.fsync ?? false);
}

function checkHost(uri: ParsedUri, context: StorageContext, options: NodelocalOptions): void {
  if (uri.host === '') {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `host component of nodelocal URI must be a node ID (use 'self' to specify each node should access its own local filesystem): ${uri}`,
      { hint: `use nodelocal://${context.nodeId}/${uri.path} or nodelocal://self/${uri.path}` },
    );
  }
  if (uri.host === 'self') return;
  if (!/^\d{1,9}$/.test(uri.host)) {
    throw new StatementError(SqlState.InvalidParameterValue, `host component of nodelocal URI must be a node ID: ${uri}`);
  }
  const nodeId = Number(uri.host);
  if (nodeId !== 0 && !options.hasNode(nodeId)) {
    throw new StatementError(SqlState.InvalidParameterValue, `nodelocal URI names node ${nodeId}, which does not exist`);
  }
}

/** What `..` leads out of the directory is said as in CockroachDB; other paths that are not plain are for checkBasePath. */
function checkInside(uri: ParsedUri): void {
  const path = posix.normalize(uri.path);
  if (path !== '..' && !path.startsWith('../')) return;
  throw new StatementError(
    SqlState.InvalidParameterValue,
    `local file access to paths outside of external-io-dir is not allowed: ${path}`,
    { hint: 'remove ".." from the path' },
  );
}

class NodelocalStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });
  readonly #root: string;
  readonly #fsync: boolean;
  #realRoot: string | undefined;
  /** Folders that were looked at for a read, and found inside; a few, because files of one folder are read together. */
  readonly #insideFolders = new Map<string, Promise<string>>();

  constructor(uri: ParsedUri, root: string, fsync: boolean) {
    this.uri = uri;
    this.#root = root;
    this.#fsync = fsync;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    options.signal?.throwIfAborted();
    return await this.#wrapping('write', name, async () => {
      const { handle, temporary, target } = await this.#createTemporary(name);
      let isRenamed = false;
      try {
        const result = await writeAll(handle, source, options.signal, this.#fsync);
        if (options.ifAbsent) await this.#linkAbsent(temporary, target, name);
        else await rename(temporary, target);
        isRenamed = !options.ifAbsent;
        if (this.#fsync) await syncFolder(dirname(target));
        return result;
      } finally {
        if (!isRenamed) await unlink(temporary).catch(() => undefined);
      }
    });
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await gather(this.#readPieces('read', name, options));
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return this.#readPieces('readStream', name, options);
  }

  async size(name: string): Promise<number> {
    checkName(name);
    return await this.#wrapping('size', name, async () => {
      const status = await lstat(await this.#existingPath(name));
      if (!status.isFile()) throw missingFile(this.uri, 'size', name);
      return status.size;
    });
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    options?.signal?.throwIfAborted();
    const names: string[] = [];
    // Only the folder that the prefix names, and what is below it, can hold matches.
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1).replace(/\/$/, '');
    if (folder !== '') checkName(folder);
    await this.#wrapping('list', prefix, async () => {
      const start = await this.#folderPath(folder).catch(ignoreMissing);
      if (start !== undefined) await this.#walk(start, folder === '' ? '' : `${folder}/`, prefix, options, names);
    });
    return listing(names, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await this.#wrapping('delete', name, async () => {
      const path = await this.#existingPath(name).catch(ignoreMissing);
      if (path === undefined) return;
      const removed = await unlink(path).then(() => true, ignoreMissing);
      if (!removed) return;
      const root = await this.#rootPath();
      for (let folder = dirname(path); folder !== root && folder.startsWith(root + sep); folder = dirname(folder)) {
        // Not empty, or gone already: either ends the climb.
        if (
          !(await rmdir(folder).then(
            () => true,
            () => false,
          ))
        )
          break;
      }
    });
  }

  async close(): Promise<void> {}

  async *#readPieces(operation: 'read' | 'readStream', name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkName(name);
    options.signal?.throwIfAborted();
    const { file, size } = await this.#wrapping(operation, name, () => this.#openForRead(operation, name));
    try {
      let at = options.offset ?? 0;
      // Files appear whole and never change, so their size says when to stop, and how large a buffer a small one needs.
      let left = Math.min(options.length ?? Number.MAX_SAFE_INTEGER, size - at);
      // Two in turns where pieces are lent: new memory for all of a large file would be collected by and by only.
      const lent: Buffer[] = [];
      while (left > 0) {
        options.signal?.throwIfAborted();
        const want = Math.min(left, READ_PIECE_BYTES);
        const position = at;
        const memory = (lent.length === 2 ? lent.shift() : undefined) ?? Buffer.allocUnsafeSlow(want);
        if (options.isLent) lent.push(memory);
        const { bytesRead, buffer } = await this.#wrapping(operation, name, () => readInto(file, memory, 0, want, position));
        if (bytesRead === 0) return;
        at += bytesRead;
        left -= bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      closeSync(file);
    }
  }

  /** A descriptor of a regular file inside the directory. */
  async #openForRead(operation: StorageOperation, name: string): Promise<{ file: number; size: number }> {
    const path = join(await this.#rootPath(), this.uri.path, name);
    let file: number;
    try {
      // O_NONBLOCK: a pipe that somebody has put there holds nobody up.
      file = await openFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      // What there is outside is not told either.
      await this.#existingPath(name);
      throw error;
    }
    try {
      const real = realPathOf(file);
      if (real === undefined) await this.#existingPath(name);
      else if (!this.#isInside(real, await this.#rootPath())) throw this.#outside();
      const status = fstatSync(file);
      if (!status.isFile()) throw missingFile(this.uri, operation, name);
      return { file, size: status.size };
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** Names below `folder` (a real path), each with `relative` in front. Skips links and temporary files. */
  async #walk(folder: string, relative: string, prefix: string, options: ListOptions | undefined, names: string[]): Promise<void> {
    options?.signal?.throwIfAborted();
    for (const entry of (await readdir(folder, { withFileTypes: true }).catch(ignoreMissing)) ?? []) {
      const name = relative + entry.name;
      if (entry.isFile()) {
        if (!isTemporary(entry.name)) names.push(name);
      } else if (entry.isDirectory() && (name.startsWith(prefix) || prefix.startsWith(`${name}/`))) {
        await this.#walk(join(folder, entry.name), `${name}/`, prefix, options, names);
      }
    }
  }

  /** Makes the folders and an empty temporary file beside the target. A concurrent delete may remove a fresh folder: try again. */
  async #createTemporary(name: string): Promise<{ handle: FileHandle; temporary: string; target: string }> {
    const relative = dirname(join(this.uri.path, name));
    for (let attempt = 1; ; attempt++) {
      try {
        const folder = (await this.#existingFolder(relative)) ?? (await this.#makeFolder(relative));
        const temporary = join(folder, temporaryName());
        const handle = await open(temporary, 'wx');
        await this.#checkOpened(handle, () => unlink(temporary));
        return { handle, temporary, target: join(folder, basename(name)) };
      } catch (error) {
        if (errorCode(error) !== 'ENOENT' || attempt === CREATE_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Undefined when it is not there. */
  async #existingFolder(relative: string): Promise<string | undefined> {
    const root = await this.#rootPath().catch(ignoreMissing);
    return root === undefined ? undefined : await this.#insideFolder(join(root, relative)).catch(ignoreMissing);
  }

  /** Makes a folder one segment at a time and checks each step against N2 before going on. */
  async #makeFolder(relative: string): Promise<string> {
    await mkdir(this.#root, { recursive: true });
    let folder = await this.#rootPath();
    for (const segment of relative === '.' ? [] : relative.split('/')) {
      const next = join(folder, segment);
      await mkdir(next).catch((error) => {
        if (errorCode(error) !== 'EEXIST') throw error;
      });
      folder = await this.#inside(next);
    }
    return folder;
  }

  /** The path of a file whose folder exists; throws ENOENT when it does not. */
  async #existingPath(name: string): Promise<string> {
    const whole = join(this.uri.path, name);
    return join(await this.#insideFolder(join(await this.#rootPath(), dirname(whole))), basename(whole));
  }

  /** #inside(), asked once for reads under way together. */
  async #insideFolder(folder: string): Promise<string> {
    const known = this.#insideFolders.get(folder);
    if (known !== undefined) return await known;
    const asked = this.#inside(folder).finally(() => this.#insideFolders.delete(folder));
    this.#insideFolders.set(folder, asked);
    return await asked;
  }

  async #folderPath(relative: string): Promise<string> {
    return await this.#inside(join(await this.#rootPath(), this.uri.path, relative));
  }

  async #rootPath(): Promise<string> {
    this.#realRoot ??= await realpath(this.#root);
    return this.#realRoot;
  }

  /** The real path, once it is known to lie inside the directory (N2). */
  async #inside(path: string): Promise<string> {
    const real = await realpath(path);
    if (!this.#isInside(real, await this.#rootPath())) throw this.#outside();
    return real;
  }

  #isInside(real: string, root: string): boolean {
    return real === root || real.startsWith(root.endsWith(sep) ? root : root + sep);
  }

  #outside(): StorageError {
    return new StorageError(SqlState.InsufficientPrivilege, `"${this.uri}" leads outside the external IO directory`, {
      operation: 'resolve',
      redactedUri: String(this.uri),
      hint: 'a symbolic link on the path points elsewhere',
    });
  }

  /**
   * N2 once more for a file that is open, since somebody may have put a link where a folder was looked at: its path as
   * the system knows it, where the system tells. Closes the file, and calls `undo`, before it throws.
   */
  async #checkOpened(handle: FileHandle, undo?: () => Promise<void>): Promise<void> {
    const real = realPathOf(handle.fd);
    if (real === undefined || this.#isInside(real, await this.#rootPath())) return;
    await handle.close();
    await undo?.().catch(() => undefined);
    throw this.#outside();
  }

  /** Gives the temporary file the target's name unless that name exists. */
  async #linkAbsent(temporary: string, target: string, name: string): Promise<void> {
    try {
      await link(temporary, target);
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw fileExists(this.uri, name, error);
      if (!NO_HARD_LINKS.has(errorCode(error) ?? '')) throw error;
      // A file system without hard links: the copy is exclusive, though a reader may see it grow.
      await copyFile(temporary, target, constants.COPYFILE_EXCL).catch((copyError) => {
        throw errorCode(copyError) === 'EEXIST' ? fileExists(this.uri, name, copyError) : copyError;
      });
    }
  }

  /** Runs one operation and turns the system's errors into StorageError. */
  async #wrapping<T>(operation: StorageOperation, name: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const code = errorCode(error);
      if (code === undefined) throw error;
      if ((code === 'ENOENT' || code === 'ENOTDIR') && operation !== 'write') throw missingFile(this.uri, operation, name, error);
      throw new StorageError(SqlState.IoError, `cannot ${operation} "${name}" in "${this.uri}": ${SYSTEM_ERRORS[code] ?? code}`, {
        operation,
        redactedUri: String(this.uri),
        isRetryable: RETRYABLE.has(code),
        cause: error,
      });
    }
  }
}

const CREATE_ATTEMPTS_MAX = 5;
const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
const RETRYABLE: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'EIO', 'ESTALE', 'ETIMEDOUT']);
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a file stands where a folder is needed',
  EISDIR: 'a folder has this name',
  ENAMETOOLONG: 'the name is too long for the file system',
  ELOOP: 'a symbolic link has this name',
  EMFILE: 'too many open files',
};

async function writeAll(handle: FileHandle, source: WriteSource, signal: AbortSignal | undefined, fsync: boolean): Promise<WriteResult> {
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of lentChunksOf(source, signal)) {
      // Hashed while the system writes it.
      const writing = handle.write(chunk, 0, chunk.length, sizeBytes);
      hash.update(chunk);
      let written = (await writing).bytesWritten;
      while (written < chunk.length) {
        written += (await handle.write(chunk, written, chunk.length - written, sizeBytes + written)).bytesWritten;
      }
      sizeBytes += chunk.length;
    }
    if (fsync) await handle.sync();
    return { sizeBytes, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Where an open file is, as the system knows it; undefined where it does not tell. */
function realPathOf(file: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return undefined;
  }
}

/** The system's code of a file operation's error, such as ENOENT. */
function errorCode(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  return typeof code === 'string' && typeof syscall === 'string' ? code : undefined;
}

/** For promises whose target may be absent: undefined instead of ENOENT or ENOTDIR (a file where a folder was looked for). */
function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
  throw error;
}
