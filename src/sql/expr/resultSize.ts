/**
 * How large a value a function may build: lpad, repeat, || and their kin must not exhaust the heap,
 * nor reach the runtime's own limit on strings.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

export const RESULT_BYTES_MAX = 64 * 1024 * 1024;

/** Throws 54000 when a result of that many bytes is too large. */
export function checkResultSize(bytes: number): void {
  if (bytes > RESULT_BYTES_MAX) {
    throw new StatementError(SqlState.ProgramLimitExceeded, `requested length too large, exceeds ${RESULT_BYTES_MAX} bytes`);
  }
}

/** The two after one another. */
export function joinTwo<S extends string>(a: S, b: S): S {
  checkResultSize(a.length + b.length);
  return (a + b) as S;
}

/** The parts with the separator between. */
export function joinAll(parts: readonly string[], separator: string): string {
  let bytes = separator.length * parts.length;
  for (const part of parts) bytes += part.length;
  checkResultSize(bytes);
  return parts.join(separator);
}

/** The engine's refusal of a string or array longer than it can hold, as 54000; every other error as it is. */
export function tooLargeValue(error: unknown): unknown {
  if (!(error instanceof RangeError) || !/^Invalid (?:string|array) length/.test(error.message)) return error;
  return new StatementError(SqlState.ProgramLimitExceeded, 'the value is too large');
}
