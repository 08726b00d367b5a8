/**
 * VarveError: the one error that reaches users, with the SQLSTATE they act on.
 *
 * Messages start in lower case, quote user names, and give the numbers involved; advice goes to
 * `hint`, particulars to `detail`; none of the three ever contains a secret. The kinds follow what
 * the receiver does next, not the module that threw. A `Symbol.for` brand lets two copies of the
 * package recognise each other's errors.
 */
import type { SqlState } from './sqlState.ts';

const BRAND = Symbol.for('varve.error');

/** Where in a statement's text an error lies: 1-based char offset, as the Postgres protocol counts. */
export interface ErrorLocation {
  readonly position: number;
}

export interface ErrorFields {
  /** Particulars: which key, which constraint, how far off. */
  readonly detail?: string;
  /** What the receiver can do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
  readonly location?: ErrorLocation;
  /** Constraint, schema, table and column names for the wire protocol's fields. */
  readonly constraint?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  /** The table's descriptor, from which who knows the catalog tells its schema. */
  readonly relationId?: number;
}

export class VarveError extends Error {
  readonly code: SqlState;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly location: ErrorLocation | undefined;
  readonly constraint: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly relationId: number | undefined;

  constructor(code: SqlState, message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = new.target.name;
    this.code = code;
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.location = fields.location;
    this.constraint = fields.constraint;
    this.schema = fields.schema;
    this.table = fields.table;
    this.column = fields.column;
    this.relationId = fields.relationId;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** The receiver fixes the statement. */
export class StatementError extends VarveError {}
/** The receiver fixes the data. */
export class ConstraintError extends VarveError {}
/** The receiver runs the transaction again (40001). */
export class RetryError extends VarveError {}
/** The receiver waits, or changes the state of the object named. */
export class StateError extends VarveError {}

/** The receiver checks the storage, and may try again when `isRetryable`. */
export class StorageError extends VarveError {
  readonly operation: string;
  /** The location with every secret redacted. */
  readonly redactedUri: string;
  readonly isRetryable: boolean;

  constructor(code: SqlState, message: string, fields: ErrorFields & { operation: string; redactedUri: string; isRetryable?: boolean }) {
    super(code, message, fields);
    this.operation = fields.operation;
    this.redactedUri = fields.redactedUri;
    this.isRetryable = fields.isRetryable ?? false;
  }
}

/** The receiver stops and reports: stored data is not what was written (XX001). */
export class CorruptionError extends VarveError {
  readonly file: string | undefined;
  readonly offset: number | undefined;

  constructor(code: SqlState, message: string, fields: ErrorFields & { file?: string; offset?: number } = {}) {
    super(code, message, fields);
    this.file = fields.file;
    this.offset = fields.offset;
  }
}

/** True for an error of this or another copy of the package. */
export function isVarveError(error: unknown): error is VarveError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[BRAND] === true;
}

/** For a handler that lets refusals go: undefined for a VarveError; anything else is a bug, and thrown. */
export function letGo(error: unknown): undefined {
  if (!isVarveError(error)) throw error;
  return undefined;
}

/** The same error with more fields: what an upper layer that knows the user's words adds on the way. */
export function withFields<E extends VarveError>(error: E, fields: ErrorFields): E {
  for (const [name, value] of Object.entries(fields)) {
    const target = error as unknown as Record<string, unknown>;
    if (value !== undefined && target[name] === undefined) target[name] = value;
  }
  return error;
}
