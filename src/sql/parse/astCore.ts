/**
 * The syntax tree's core: names, types, expressions and queries. See ast.ts for the rules every node
 * follows; import from there.
 */
import type { Bytes } from '../../base/bytes.ts';

/**
 * Every statement by its `kind`. The other ast files add theirs to this interface, so that a query
 * can hold any statement while no file imports in a circle.
 */
export interface Statements {
  select: SelectStatement;
}
export type Statement = Statements[keyof Statements];
export type StatementKind = keyof Statements;

/** `name = value` or bare `name`. Used by WITH (...) lists of every kind. */
export interface Option {
  /** Lower-case; words of a two-word option are joined with a space: `execution locality`. */
  readonly name: string;
  readonly value: Expr | undefined;
  readonly pos: number;
}

// ---- names and types --------------------------------------------------------------------------

/** One identifier, folded. */
export interface Name {
  readonly text: string;
  readonly pos: number;
}

/** A possibly qualified name, unresolved: `[t]`, `[schema|db, t]` or `[db, schema, t]`. */
export interface ObjectName {
  /** A relation by its descriptor's id; the parts are then no name to look up. */
  readonly id?: number;
  readonly parts: readonly Name[];
  readonly pos: number;
}

/** A name whose last part may be `*`: `t`, `db.t`, `*`, `db.*`. `star` is true when it ends in `*`; `parts` excludes the star. */
export interface TablePattern {
  readonly parts: readonly Name[];
  readonly star: boolean;
  readonly pos: number;
}

/** `t@i`, or `i` alone with `table` absent: then the planner looks for the table that has it. */
export interface IndexName {
  readonly table: ObjectName | undefined;
  readonly index: Name;
  /** For `schema.i` without a table: the qualifiers of the index name. */
  readonly qualifier: readonly Name[];
  readonly pos: number;
}

/**
 * A type as written. `name.parts.at(-1).text` is lower-case for built-in spellings; the joined
 * forms are: varchar, char, float8 (DOUBLE PRECISION), timestamp, timestamptz, time, timetz, varbit.
 */
export interface TypeName {
  readonly kind: 'typeName';
  readonly name: ObjectName;
  /** Length, or precision and scale. */
  readonly args: readonly number[];
  readonly isArray: boolean;
  /** INTERVAL's field qualifier, upper-case: `YEAR TO MONTH`. */
  readonly intervalFields?: string;
  /** STRING COLLATE locale. */
  readonly collation?: string;
  readonly pos: number;
}

// ---- expressions ------------------------------------------------------------------------------

export type Expr =
  | NumberLiteral
  | StringLiteral
  | BytesLiteral
  | NullLiteral
  | BooleanLiteral
  | DefaultExpr
  | TypedLiteral
  | ColumnRef
  | Star
  | Placeholder
  | UnaryExpr
  | BinaryExpr
  | LikeExpr
  | IsNullExpr
  | IsTruthExpr
  | IsDistinctExpr
  | IsOfTypeExpr
  | BetweenExpr
  | InListExpr
  | InSubqueryExpr
  | QuantifiedExpr
  | CastExpr
  | AnnotateExpr
  | CollateExpr
  | FieldExpr
  | SubscriptExpr
  | CaseExpr
  | CoalesceExpr
  | NullIfExpr
  | IfExpr
  | CallExpr
  | ArrayExpr
  | ArraySubqueryExpr
  | TupleExpr
  | ExistsExpr
  | SubqueryExpr;

/** A numeric literal, source text kept (without sign): `12`, `0x1f`, `1.50`, `1e9`. */
export interface NumberLiteral {
  readonly kind: 'number';
  readonly text: string;
  /** No point and no exponent. It may still be larger than an INT8. */
  readonly isInteger: boolean;
  readonly pos: number;
}
export interface StringLiteral {
  readonly kind: 'string';
  readonly value: string;
  readonly pos: number;
}
/** b'..' or x'..'. */
export interface BytesLiteral {
  readonly kind: 'bytes';
  readonly value: Bytes;
  readonly pos: number;
}
export interface NullLiteral {
  readonly kind: 'null';
  readonly pos: number;
}
export interface BooleanLiteral {
  readonly kind: 'boolean';
  readonly value: boolean;
  readonly pos: number;
}
/** DEFAULT as a value in INSERT or SET. */
export interface DefaultExpr {
  readonly kind: 'default';
  readonly pos: number;
}
/** DATE '...', TIMESTAMPTZ '...', INTERVAL '...' and so on. */
export interface TypedLiteral {
  readonly kind: 'typedLiteral';
  readonly type: TypeName;
  readonly value: string;
  readonly pos: number;
}
/** `c`, `t.c`, `schema.t.c` or `db.schema.t.c`; or `@n`, the n-th column of FROM. */
export interface ColumnRef {
  readonly kind: 'column';
  readonly parts: readonly Name[];
  /** The n of `@n`; `parts` is then its text. */
  readonly ordinal?: number;
  readonly pos: number;
}
/** `*` or `t.*`. */
export interface Star {
  readonly kind: 'star';
  readonly qualifier: ObjectName | undefined;
  readonly pos: number;
}
/** `$n`, 1-based. */
export interface Placeholder {
  readonly kind: 'placeholder';
  readonly index: number;
  readonly pos: number;
}
export type UnaryOp = '-' | '+' | '~' | 'not';
export interface UnaryExpr {
  readonly kind: 'unary';
  readonly op: UnaryOp;
  readonly operand: Expr;
  readonly pos: number;
}
export type ComparisonOp = '=' | '<>' | '<' | '<=' | '>' | '>=';
export type BinaryOp =
  | 'or'
  | 'and'
  | ComparisonOp
  | '||'
  | '|'
  | '#'
  | '&'
  | '<<'
  | '>>'
  | '+'
  | '-'
  | '*'
  | '/'
  | '//'
  | '%'
  | '^'
  | '->'
  | '->>'
  | '#>'
  | '#>>'
  | '#-'
  | '@>'
  | '<@'
  | '?'
  | '?|'
  | '?&'
  | '&&'
  | '~'
  | '!~'
  | '~*'
  | '!~*';
export interface BinaryExpr {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly left: Expr;
  readonly right: Expr;
  /** The operator's own place. */
  readonly pos: number;
}
export interface LikeExpr {
  readonly kind: 'like';
  readonly op: 'like' | 'ilike' | 'similarTo';
  readonly negated: boolean;
  readonly operand: Expr;
  readonly pattern: Expr;
  readonly escape: Expr | undefined;
  readonly pos: number;
}
export interface IsNullExpr {
  readonly kind: 'isNull';
  readonly negated: boolean;
  readonly operand: Expr;
  readonly pos: number;
}
/** IS [NOT] TRUE, FALSE; IS UNKNOWN is `isNull`. */
export interface IsTruthExpr {
  readonly kind: 'isTruth';
  readonly negated: boolean;
  readonly value: boolean;
  readonly operand: Expr;
  readonly pos: number;
}
export interface IsDistinctExpr {
  readonly kind: 'isDistinct';
  readonly negated: boolean;
  readonly left: Expr;
  readonly right: Expr;
  readonly pos: number;
}
/** IS [NOT] OF (type, ...). */
export interface IsOfTypeExpr {
  readonly kind: 'isOfType';
  readonly negated: boolean;
  readonly operand: Expr;
  readonly types: readonly TypeName[];
  readonly pos: number;
}
export interface BetweenExpr {
  readonly kind: 'between';
  readonly negated: boolean;
  readonly symmetric: boolean;
  readonly operand: Expr;
  readonly low: Expr;
  readonly high: Expr;
  readonly pos: number;
}
export interface InListExpr {
  readonly kind: 'inList';
  readonly negated: boolean;
  readonly operand: Expr;
  readonly list: readonly Expr[];
  readonly pos: number;
}
export interface InSubqueryExpr {
  readonly kind: 'inSubquery';
  readonly negated: boolean;
  readonly operand: Expr;
  readonly query: SelectStatement;
  readonly pos: number;
}
/** `left op ANY|ALL (right)`; `right` is a subquery node, an array or a tuple. LIKE and ILIKE count as operators here. */
export interface QuantifiedExpr {
  readonly kind: 'quantified';
  readonly op: BinaryOp | 'like' | 'notLike' | 'ilike' | 'notIlike';
  readonly quantifier: 'any' | 'all';
  readonly left: Expr;
  readonly right: Expr;
  readonly pos: number;
}
/** `e::T` and CAST(e AS T). */
export interface CastExpr {
  readonly kind: 'cast';
  readonly operand: Expr;
  readonly type: TypeName;
  readonly pos: number;
}
/** `e:::T`: says what type e is, converts nothing. */
export interface AnnotateExpr {
  readonly kind: 'annotate';
  readonly operand: Expr;
  readonly type: TypeName;
  readonly pos: number;
}
export interface CollateExpr {
  readonly kind: 'collate';
  readonly operand: Expr;
  readonly locale: string;
  readonly pos: number;
}
/** `(e).field`, or `(e).*` when `field` is absent. */
export interface FieldExpr {
  readonly kind: 'field';
  readonly operand: Expr;
  readonly field: Name | undefined;
  readonly pos: number;
}
/** `e[i]`, or `e[low:high]` when `isSlice`. */
export interface SubscriptExpr {
  readonly kind: 'subscript';
  readonly operand: Expr;
  readonly isSlice: boolean;
  readonly low: Expr | undefined;
  readonly high: Expr | undefined;
  readonly pos: number;
}
export interface CaseExpr {
  readonly kind: 'case';
  readonly operand: Expr | undefined;
  readonly whens: readonly { readonly when: Expr; readonly then: Expr }[];
  readonly otherwise: Expr | undefined;
  readonly pos: number;
}
/** COALESCE and IFNULL. */
export interface CoalesceExpr {
  readonly kind: 'coalesce';
  readonly isIfNull?: boolean;
  readonly args: readonly Expr[];
  readonly pos: number;
}
export interface NullIfExpr {
  readonly kind: 'nullIf';
  readonly left: Expr;
  readonly right: Expr;
  readonly pos: number;
}
export interface IfExpr {
  readonly kind: 'if';
  readonly condition: Expr;
  readonly then: Expr;
  readonly otherwise: Expr;
  readonly pos: number;
}
/**
 * A function call. Syntax of its own becomes a plain call: EXTRACT(f FROM e) is extract('f', e),
 * POSITION(a IN b) is strpos(b, a), TRIM is btrim, ltrim or rtrim, SUBSTRING and OVERLAY take their
 * parts in order, `e AT TIME ZONE z` is timezone(z, e), CURRENT_TIMESTAMP is current_timestamp().
 */
export interface CallExpr {
  readonly kind: 'call';
  readonly name: ObjectName;
  readonly args: readonly Expr[];
  readonly distinct: boolean;
  /** count(*). */
  readonly star: boolean;
  readonly orderBy: readonly OrderItem[];
  /** True when `orderBy` came as WITHIN GROUP (ORDER BY ...). */
  readonly withinGroup?: boolean;
  readonly filter: Expr | undefined;
  readonly over: WindowSpec | undefined;
  readonly pos: number;
}
export interface ArrayExpr {
  readonly kind: 'array';
  readonly elements: readonly Expr[];
  readonly pos: number;
}
export interface ArraySubqueryExpr {
  readonly kind: 'arraySubquery';
  readonly query: SelectStatement;
  readonly pos: number;
}
/** `(a, b)`, `ROW(a)`, `()`; labels from `((a, b) AS x, y)`. */
export interface TupleExpr {
  readonly kind: 'tuple';
  readonly elements: readonly Expr[];
  readonly labels: readonly Name[];
  readonly pos: number;
}
export interface ExistsExpr {
  readonly kind: 'exists';
  readonly query: SelectStatement;
  readonly pos: number;
}
export interface SubqueryExpr {
  readonly kind: 'subquery';
  readonly query: SelectStatement;
  readonly pos: number;
}

/** ORDER BY item. `nulls` absent: NULLs first when ascending, last when descending (CockroachDB). */
export interface OrderItem {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last' | undefined;
  readonly pos: number;
}

/** OVER w, OVER (...), or a WINDOW clause entry. */
export interface WindowSpec {
  /** The named window that is used or refined. */
  readonly base: Name | undefined;
  /** True for `OVER w` without parentheses. */
  readonly isReference: boolean;
  readonly partitionBy: readonly Expr[];
  readonly orderBy: readonly OrderItem[];
  readonly frame: WindowFrame | undefined;
  readonly pos: number;
}
export interface WindowFrame {
  readonly mode: 'rows' | 'range' | 'groups';
  readonly start: FrameBound;
  readonly end: FrameBound | undefined;
  readonly exclude: 'currentRow' | 'group' | 'ties' | undefined;
}
export interface FrameBound {
  readonly type: 'unboundedPreceding' | 'preceding' | 'currentRow' | 'following' | 'unboundedFollowing';
  readonly offset: Expr | undefined;
}

// ---- queries ----------------------------------------------------------------------------------

/** A whole query: WITH, body, ORDER BY, LIMIT, locking. Parenthesised queries are the same node. */
export interface SelectStatement {
  readonly kind: 'select';
  readonly with: WithClause | undefined;
  readonly body: QueryBody;
  readonly orderBy: readonly OrderItem[];
  /** Absent for LIMIT ALL. FETCH FIRST n ROWS is a limit. */
  readonly limit: Expr | undefined;
  readonly offset: Expr | undefined;
  readonly locking: readonly LockingClause[];
  /** As a subquery run for each row around it, whatever it reads of the row: the call of a volatile function. */
  readonly isPerRow?: boolean;
  readonly pos: number;
}

/** `select` as a body is a parenthesised query with clauses of its own. */
export type QueryBody = SelectCore | ValuesCore | SetOperation | SelectStatement;

export interface SelectCore {
  readonly kind: 'selectCore';
  /** `all`: plain SELECT; `distinct`; or the expressions of DISTINCT ON. */
  readonly distinct: 'all' | 'distinct' | readonly Expr[];
  readonly targets: readonly SelectTarget[];
  /** Comma-separated sources; empty without FROM. */
  readonly from: readonly TableSource[];
  readonly asOf: AsOfClause | undefined;
  readonly where: Expr | undefined;
  readonly groupBy: readonly Expr[];
  readonly having: Expr | undefined;
  readonly windows: readonly { readonly name: Name; readonly spec: WindowSpec }[];
  readonly pos: number;
}
export interface SelectTarget {
  readonly expr: Expr;
  readonly alias: Name | undefined;
  readonly pos: number;
}
export interface ValuesCore {
  readonly kind: 'values';
  readonly rows: readonly (readonly Expr[])[];
  readonly pos: number;
}
export interface SetOperation {
  readonly kind: 'setOperation';
  readonly op: 'union' | 'intersect' | 'except';
  readonly all: boolean;
  readonly left: QueryBody;
  readonly right: QueryBody;
  readonly pos: number;
}
export interface WithClause {
  readonly recursive: boolean;
  readonly tables: readonly CommonTable[];
  readonly pos: number;
}
export interface CommonTable {
  readonly name: Name;
  readonly columns: readonly Name[];
  readonly materialized: boolean | undefined;
  /** A query, a row change with RETURNING, or a SHOW. */
  readonly statement: Statement;
}
/** AS OF SYSTEM TIME. */
export interface AsOfClause {
  readonly expr: Expr;
  readonly pos: number;
}
export interface LockingClause {
  readonly strength: 'update' | 'noKeyUpdate' | 'share' | 'keyShare';
  readonly of: readonly ObjectName[];
  readonly wait: 'block' | 'nowait' | 'skipLocked';
  readonly pos: number;
}

export type TableSource = TableRef | SubquerySource | FunctionSource | StatementSource | JoinSource;

export interface TableAlias {
  readonly name: Name;
  readonly columns: readonly Name[];
}
/** A table, view, sequence or named WITH query. */
export interface TableRef {
  readonly kind: 'table';
  /** With an id, `[53 AS t]`, its part is the alias. */
  readonly name: ObjectName;
  /** `[53(1, 2) AS t]`: these columns, in this order. */
  readonly columnIds?: readonly number[];
  readonly hint: IndexHint | undefined;
  readonly withOrdinality: boolean;
  readonly alias: TableAlias | undefined;
  readonly pos: number;
}
/** `t@i`, `t@{FORCE_INDEX=i,ASC}`, `t@{NO_FULL_SCAN}`. */
export interface IndexHint {
  readonly index: Name | undefined;
  /** `t@[2]`. */
  readonly indexId?: number;
  readonly direction: 'asc' | 'desc' | undefined;
  /** Lower-case flags: no_full_scan, no_index_join, ignore_foreign_keys, ... */
  readonly flags: readonly string[];
  readonly pos: number;
}
export interface SubquerySource {
  readonly kind: 'subquerySource';
  readonly query: SelectStatement;
  readonly lateral: boolean;
  readonly withOrdinality: boolean;
  readonly alias: TableAlias | undefined;
  readonly pos: number;
}
/** f(x), or ROWS FROM (f(x), g(y)) with more than one call. */
export interface FunctionSource {
  readonly kind: 'functionSource';
  readonly calls: readonly Expr[];
  readonly lateral: boolean;
  readonly withOrdinality: boolean;
  readonly alias: TableAlias | undefined;
  readonly pos: number;
}
/** `FROM [SHOW ...]`: any statement that returns rows. */
export interface StatementSource {
  readonly kind: 'statementSource';
  readonly statement: Statement;
  readonly withOrdinality: boolean;
  readonly alias: TableAlias | undefined;
  readonly pos: number;
}
export interface JoinSource {
  readonly kind: 'join';
  readonly type: 'inner' | 'left' | 'right' | 'full' | 'cross';
  readonly natural: boolean;
  readonly left: TableSource;
  readonly right: TableSource;
  readonly using: readonly Name[];
  readonly on: Expr | undefined;
  /** Join algorithm hint, lower-case: hash, merge, lookup, inverted. */
  readonly hint: string | undefined;
  readonly pos: number;
}
