/**
 * How the command line reports failures: `ERROR: <message>`, then `SQLSTATE:`, `DETAIL:` and
 * `HINT:` lines where there are any, as `cockroach` prints them.
 */

/** A mistake in the command line itself: exit status 1, a message, and where to read more. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/** The fields that both Varve's own errors and the Postgres client's have. */
interface ReportedError {
  readonly message: string;
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly hint?: unknown;
}

const SQLSTATE_FORM = /^[0-9A-Z]{5}$/;

/** The lines that report an error, without a newline at the end. */
export function errorReport(error: unknown): string {
  if (!(error instanceof Error)) return `ERROR: ${String(error)}`;
  // Every address of a host was tried: the last failure speaks for all.
  if (error instanceof AggregateError && error.message === '' && error.errors.length > 0) {
    return errorReport(Object.assign(error.errors.at(-1), { hint: (error as ReportedError).hint }));
  }
  const { message, code, detail, hint } = error as ReportedError;
  const lines = [`ERROR: ${message || error.name}`];
  if (typeof code === 'string' && SQLSTATE_FORM.test(code)) lines.push(`SQLSTATE: ${code}`);
  if (typeof detail === 'string' && detail !== '') lines.push(`DETAIL: ${detail}`);
  if (typeof hint === 'string' && hint !== '') lines.push(`HINT: ${hint}`);
  return lines.join('\n');
}
