/**
 * Overload: one meaning of a function or operator name, chosen by argument types at analysis.
 *
 * Functions and binary operators are the same thing here. An overload is a row of data (parameter
 * types, result type, volatility) and the closure that does the work, so the registry can be
 * listed, tested and extended: upper layers register theirs with FunctionRegistry.register.
 *
 *   O1  an overload is called with NULL arguments only when it says `nullable`
 *   O2  an immutable overload reads nothing but its arguments (constant folding calls it with no context)
 *   O3  `fn` returns a canonical datum of the result type
 */
import type { Timestamp } from '../../base/timestamp.ts';
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { KvReader } from '../../kv/kv.ts';
import type { EvalContext } from './evalContext.ts';

/** immutable: same arguments, same result, always; stable: within one statement; volatile: never. */
export type Volatility = 'immutable' | 'stable' | 'volatile';

/**
 * A parameter: a type (matched by family, arrays by element family), or a wildcard:
 * `any` any type; `anyelement` any one type, the same for all of them; `anyarray` an array, of
 * anyelement where both occur; `anytuple` any tuple.
 */
export type Param = ColumnType | 'any' | 'anyelement' | 'anyarray' | 'anytuple';

export type EvalFn = (ctx: EvalContext, ...args: Datum[]) => Datum;

export interface Overload {
  /** Lower-case, with its schema unless that is pg_catalog: `lower`, `crdb_internal.node_id`. */
  readonly name: string;
  readonly params: readonly Param[];
  /** Any number of further arguments of this type. */
  readonly variadic?: Param;
  readonly returns: ColumnType | ((args: readonly ColumnType[]) => ColumnType);
  readonly volatility: Volatility;
  /** Called with NULLs too; otherwise a NULL argument makes the result NULL. */
  readonly nullable?: boolean;
  readonly fn?: EvalFn;
  /** Instead of `fn`: makes one when types and constant arguments are known (undefined: not constant). */
  readonly specialize?: (args: readonly ColumnType[], constants: readonly (Datum | undefined)[]) => EvalFn;
  /** Instead of `fn`: work that has to wait. */
  readonly asyncFn?: (ctx: EvalContext, ...args: Datum[]) => Promise<Datum>;
  /** Preferred when constants alone leave several overloads possible. */
  readonly preferred?: boolean;
}

/** A running aggregate over one group. NULL handling is the state's own: it is given every row. */
export interface AggregateState {
  /** One row's arguments; the array belongs to the caller and may be reused. */
  add(args: readonly Datum[]): void;
  /** Takes back the earliest row that is still counted, where that loses nothing: for frames that slide. */
  remove?(args: readonly Datum[]): void;
  /** May be asked again after further rows: what it gave before stays as it was. */
  result(): Datum;
}

export interface AggregateOverload {
  readonly name: string;
  readonly params: readonly Param[];
  readonly returns: ColumnType | ((args: readonly ColumnType[]) => ColumnType);
  /** Called with WITHIN GROUP (ORDER BY v): v is its last argument, and rows come in that order. */
  readonly isOrderedSet?: boolean;
  /** A fresh state for one group. DISTINCT, FILTER and ORDER BY are the executor's work. */
  readonly start: (args: readonly ColumnType[], ctx: EvalContext) => AggregateState;
}

/** What a window function sees: the rows of one partition in order, and where it stands. Positions are 0-based, ranges half-open. */
export interface WindowView {
  readonly size: number;
  /** Each row's arguments. */
  readonly args: readonly (readonly Datum[])[];
  readonly row: number;
  /** The rows equal to this one in the window's order. */
  readonly peerStart: number;
  readonly peerEnd: number;
  /** How many groups of peers come before this row's. */
  readonly peerGroup: number;
  /** The row's frame: ranges in order, none empty. */
  frame(): readonly { readonly start: number; readonly end: number }[];
}

/** A function that needs OVER: a value for each row of a partition. */
export interface WindowOverload {
  readonly name: string;
  readonly params: readonly Param[];
  readonly returns: ColumnType | ((args: readonly ColumnType[]) => ColumnType);
  /** The value for the row the view stands at; asked in the order of the rows, for every one. */
  readonly over: (view: WindowView) => Datum;
}

/** The statement that a set-returning function reads for; the executor passes its StatementContext. */
export interface GeneratorStatement {
  readonly user: string;
  readonly reader: KvReader;
  readonly names: NameContext;
  readonly statementTimestamp: Timestamp;
  readonly signal: AbortSignal;
  catalog(): Promise<CatalogSnapshot>;
  roles(): Promise<ReadonlySet<string>>;
}

/** A set-returning function. One column unless `columns` says otherwise. */
export interface GeneratorOverload {
  readonly name: string;
  readonly params: readonly Param[];
  readonly variadic?: Param;
  /** Result columns in order; the name of a single column is replaced by an alias. */
  readonly columns: (args: readonly ColumnType[]) => readonly { readonly name: string; readonly type: ColumnType }[];
  readonly volatility: Volatility;
  readonly nullable?: boolean;
  /** Rows in order, made as they are asked for: a LIMIT above stops an endless series. */
  readonly rows?: (ctx: EvalContext, args: readonly Datum[], types: readonly ColumnType[]) => Iterable<readonly Datum[]>;
  /** Instead of `rows`: rows that have to be read. */
  readonly asyncRows?: (
    ctx: EvalContext,
    args: readonly Datum[],
    types: readonly ColumnType[],
    statement: GeneratorStatement,
  ) => AsyncIterable<readonly Datum[]>;
}
