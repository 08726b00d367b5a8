/**
 * The syntax tree: what the parser makes of a statement, before any name is looked up.
 *
 * Every node is a plain readonly object told apart by `kind`. Names, expressions and
 * queries are in astCore.ts, row changes in astDml.ts, schema statements in astSchema.ts, ranges in astRanges.ts, keys, proof and retention of backups in astKeys.ts, astProof.ts and astRetention.ts, schedules in astSchedules.ts, external connections in astConnections.ts, statistics in astStatistics.ts, functions of users in astFunctions.ts,
 * administration, jobs and backups in astStatements.ts; users import all of them from here.
 *
 *   A1  identifiers are already folded: unquoted ones lower-case, quoted ones as written
 *   A2  `pos` is a 0-based char offset into the text given to the parser
 *   A3  parentheses leave no node; printer.ts puts back the ones precedence asks for
 *   A4  forms with the same meaning share one node: SOME is ANY, `!=` is `<>`,
 *       type spellings are joined (`CHARACTER VARYING` is `varchar`), TABLE t is SELECT * FROM t
 *   A5  optional parts that are absent are `undefined` (or an empty list where a list is meant)
 */
export type * from './astStatements.ts';
export type * from './astBulk.ts';
export type * from './astConnections.ts';
export type * from './astCore.ts';
export type * from './astCursors.ts';
export type * from './astDml.ts';
export type * from './astFunctions.ts';
export type * from './astKeys.ts';
export type * from './astProof.ts';
export type * from './astRanges.ts';
export type * from './astRetention.ts';
export type * from './astSchedules.ts';
export type * from './astSchema.ts';
export type * from './astStatistics.ts';
