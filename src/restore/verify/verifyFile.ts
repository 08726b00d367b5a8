/**
 * Verify file: one data file of a layer, by itself: that its bytes are those that were written, and that they
 * say what the manifest says of them.
 *
 *   V1  size, SHA-256, every checksum and the order of versions (backup/dataFileReader.ts)
 *   V2  every key lies in a part, every time in the part's interval, and each part holds what its mode
 *       keeps: without revision history one version of a key, and from time 0 no deletion
 *   V3  rows, index entries and bytes of each part are those of the manifest
 *   V4  the fingerprint of each part's versions is the recorded one, so right checksums over wrong
 *       content are found
 *
 * Cost: one reading of the file, two blocks of memory.
 */
import type { Bytes } from '../../base/bytes.ts';
import { CorruptionError } from '../../base/errors.ts';
import type { Executor } from '../../base/executor.ts';
import { prettyKey } from '../../base/prettyKey.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../../base/timestamp.ts';
import { PRIMARY_INDEX_ID } from '../../catalog/descriptor.ts';
import { indexOfKey } from '../../kv/indexOfKey.ts';

import type { VersionRun } from '../../backup/block.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { readDataFile } from '../../backup/dataFileReader.ts';
import type { Layer, ManifestFile, ManifestFilePart } from '../../backup/manifest.ts';
import { VersionsFingerprint } from '../../backup/partFingerprint.ts';

export interface VerifyFileOptions {
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  readonly signal: AbortSignal;
}

/** The last byte of a row's first key: column family 0. */
const FAMILY_ZERO = 0x88;

/** Reads a file of a layer from end to end. 58P01 when it is missing, XX001 naming the file for anything that is off. */
export async function verifyFile(layer: Layer, file: ManifestFile, options: VerifyFileOptions): Promise<void> {
  const name = `${layer.directory}/${file.path}`;
  const place = await options.storage.fileStorage(layer.directory, file.locality);
  const parts = new PartsCheck(layer, name, file.parts);
  const cipher = layer.cipher?.forFile(file.path);
  for await (const run of readDataFile(place, name, file, { ...options, cipher })) parts.add(run);
  parts.finish();
}

/** Walks a file's parts beside its versions. */
class PartsCheck {
  readonly #layer: Layer;
  readonly #name: string;
  readonly #parts: readonly ManifestFilePart[];
  #index = 0;
  #current: PartCheck | undefined;

  constructor(layer: Layer, name: string, parts: readonly ManifestFilePart[]) {
    this.#layer = layer;
    this.#name = name;
    this.#parts = parts;
  }

  add(run: VersionRun): void {
    const { keys } = run;
    for (let from = 0; from < keys.length; ) {
      const part = this.#partOf(keys[from] as Bytes);
      let to = from + 1;
      while (to < keys.length && (keys[to] as Bytes) < part.endKey) to++;
      part.add(run, from, to);
      from = to;
    }
  }

  finish(): void {
    while (this.#index < this.#parts.length) this.#endPart();
  }

  #partOf(key: Bytes): PartCheck {
    for (;;) {
      const part = this.#parts[this.#index];
      if (part === undefined || key < part.span.key) {
        throw contentError(this.#name, `key ${prettyKey(key)} lies in none of its parts`, 'keys in the spans of the manifest', 'others');
      }
      this.#current ??= new PartCheck(this.#layer, this.#name, part);
      if (key < part.span.endKey) return this.#current;
      this.#endPart();
    }
  }

  #endPart(): void {
    const part = this.#parts[this.#index] as ManifestFilePart;
    (this.#current ?? new PartCheck(this.#layer, this.#name, part)).finish();
    this.#current = undefined;
    this.#index++;
  }
}

class PartCheck {
  readonly endKey: Bytes;
  readonly #layer: Layer;
  readonly #name: string;
  readonly #part: ManifestFilePart;
  readonly #isPrimary: boolean;
  readonly #versions: VersionsFingerprint;
  #lastKey: Bytes | undefined;
  #rowCount = 0;
  #dataBytes = 0;

  constructor(layer: Layer, name: string, part: ManifestFilePart) {
    const { indexId, length } = indexOfKey(part.span.key);
    this.endKey = part.span.endKey;
    this.#layer = layer;
    this.#name = name;
    this.#part = part;
    this.#isPrimary = indexId === PRIMARY_INDEX_ID;
    this.#versions = new VersionsFingerprint(length);
  }

  add(run: VersionRun, from: number, to: number): void {
    const { startTime, endTime, fingerprint } = this.#part;
    const { revisionHistory } = this.#layer.manifest;
    const { keys, timestamps, values } = run;
    for (let i = from; i < to; i++) {
      const key = keys[i] as Bytes;
      const time = timestamps[i] as Timestamp;
      const value = values[i] ?? null;
      if (time <= startTime || time > endTime) {
        const interval = `a time in (${startTime === 0 ? '0' : formatUtc(startTime)}, ${formatUtc(endTime)}]`;
        throw this.#error(`the time of a version of ${prettyKey(key)}`, interval, formatUtc(time));
      }
      if (!revisionHistory && key === this.#lastKey) throw this.#error(`versions of ${prettyKey(key)}`, 'one', 'several');
      if (!revisionHistory && startTime === 0 && value === null) {
        throw this.#error(`the version of ${prettyKey(key)} at ${formatUtc(time)}`, 'a value', 'a deletion');
      }
      this.#lastKey = key;
      this.#dataBytes += key.length + (value?.length ?? 0);
      if (value !== null && (!this.#isPrimary || key.charCodeAt(key.length - 1) === FAMILY_ZERO)) this.#rowCount++;
    }
    if (fingerprint !== undefined) this.#versions.add(run, from, to);
  }

  finish(): void {
    const { rows, indexEntries, dataBytes, fingerprint } = this.#part;
    this.#expect('rows', rows, this.#isPrimary ? this.#rowCount : 0);
    this.#expect('index entries', indexEntries, this.#isPrimary ? 0 : this.#rowCount);
    this.#expect('bytes of keys and values', dataBytes, this.#dataBytes);
    if (fingerprint !== undefined) this.#expect('the fingerprint of its versions', fingerprint.versions, this.#versions.sum.toHex());
  }

  #expect(what: string, expected: string | number, found: string | number): void {
    if (expected !== found) throw this.#error(what, expected, found);
  }

  #error(what: string, expected: string | number, found: string | number): CorruptionError {
    const { key, endKey } = this.#part.span;
    return contentError(this.#name, `${what}, in [${prettyKey(key)}, ${prettyKey(endKey)})`, expected, found);
  }
}

/** XX001: the bytes are as they were written, or seem so, but not what was backed up. */
function contentError(file: string, what: string, expected: string | number, found: string | number): CorruptionError {
  return new CorruptionError(SqlState.DataCorrupted, `backup file "${file}" does not hold what was backed up: ${what}`, {
    detail: `expected ${expected}, found ${found}`,
    hint: 'take the file from another copy of the collection, or restore from another backup',
    file,
  });
}
