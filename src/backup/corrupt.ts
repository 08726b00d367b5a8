/** One wording for everything a decoder finds wrong: which file, where, what was expected and what is there. */
import { CorruptionError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** XX001 for a stored file. `offset` counts bytes from the start of the file. */
export function corruptFile(
  file: string,
  offset: number,
  what: string,
  expected?: string | number,
  found?: string | number,
): CorruptionError {
  return new CorruptionError(SqlState.DataCorrupted, `backup file "${file}" is corrupt at offset ${offset}: ${what}`, {
    file,
    offset,
    detail: expected === undefined ? undefined : `expected ${expected}, found ${found}`,
    hint: 'restore from another copy of the backup, or take a new one',
  });
}
