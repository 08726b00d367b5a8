/**
 * Corruption: the one form in which a decoder of backup files reports that stored bytes are not what was written.
 */
import { CorruptionError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** Where a decoder reads: the file's name, and the file offset of the first byte it was given. */
export interface FilePlace {
  readonly file: string;
  readonly offset: number;
}

/** XX001: `what` at an offset of a file is `found` instead of `expected`. */
export function corruptFile(
  place: FilePlace,
  what: string,
  expected: string | number,
  found: string | number,
  cause?: unknown,
): CorruptionError {
  return new CorruptionError(SqlState.DataCorrupted, `backup file "${place.file}" is corrupt: ${what}`, {
    detail: `at offset ${place.offset}: expected ${expected}, found ${found}`,
    hint: hintFor(place.file),
    file: place.file,
    offset: place.offset,
    cause,
  });
}

/** The directory of a compacted layer (compactedLayer.ts), of a file in it. */
const COMPACTED = /^(.*\d{8}\/\d{6}\.\d{2}-\d{8}-\d{6}\.\d{2})\//;

function hintFor(file: string): string {
  const compacted = COMPACTED.exec(file)?.[1];
  return compacted === undefined
    ? 'take the file from another copy of the collection; SHOW BACKUP ... WITH check_files lists what is missing'
    : `delete the directory "${compacted}": the layers that it was made of bring back the same, and COMPACT BACKUP makes it again`;
}

/** Throws unless both are equal. */
export function expectEqual(place: FilePlace, what: string, expected: string | number, found: string | number): void {
  if (expected !== found) throw corruptFile(place, what, expected, found);
}
