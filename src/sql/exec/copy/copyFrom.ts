/**
 * COPY t FROM STDIN: the client's data, row by row, through the table's writer in the session's
 * transaction.
 *
 * The statement is planned as the INSERT of one row of parameters that it amounts to, so privileges,
 * columns, defaults and widths are settled in one place. Rows are written in pieces as they come:
 * what is held is one piece, and what the transaction buffers. Foreign keys are checked at the end.
 *
 * An error says where in the data it arose: `COPY t, line 2, column b: "x"`.
 */
import { isUtf8 } from 'node:buffer';

import type { Bytes } from '../../../base/bytes.ts';
import { toBuffer, utf8Decode } from '../../../base/bytes.ts';
import { isVarveError, StatementError, withFields } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { binaryDecoder } from '../../../catalog/datumBinary.ts';
import { parser, type TextContext } from '../../../catalog/datumText.ts';
import type { ColumnDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import type { TypedExpr } from '../../expr/typedExpr.ts';
import type { CopyFrom, Expr, InsertStatement, Name } from '../../parse/ast.ts';
import { planStatement } from '../../plan/planner.ts';
import type { RunContext } from '../context.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { seekRoom } from '../mutate.ts';
import { planEnvironment } from '../planEnvironment.ts';
import { compileRow, type RowMaker, type Run } from '../run.ts';
import type { HookResult } from '../statement.ts';
import { tableWriter } from '../tableWriter.ts';
import { textContextOf } from '../textContext.ts';
import { badCopyData, copyDecoder, type CopyRow } from './decode.ts';
import { type CopyOptions, copyOptions } from './options.ts';
import { portOf } from './port.ts';

/** Rows written at a time. */
const PIECE_ROWS = 2000;
/** What an error shows of a value. */
const SHOWN_LENGTH = 100;

export interface CopySource {
  readonly table: TableDescriptor;
  readonly columns: readonly ColumnDescriptor[];
  /** The whole row, over the fields as parameters. */
  readonly row: readonly TypedExpr[];
  readonly types: readonly ColumnType[];
}

export async function copyFrom(context: RunContext, stmt: CopyFrom): Promise<HookResult> {
  const port = portOf(context.session, 'COPY FROM STDIN');
  const options = copyOptions(stmt.options);
  const source = await planSource(context, stmt);
  const { table, columns } = source;
  const run = context.newRun(0, 0);
  const writer = tableWriter(table, context.engine.functions);
  const queue = await constraintQueue(context);
  const decoder = copyDecoder(options);
  const makeRow = rowMaker(source, options, textContextOf(context.session));
  let isHeader = options.header !== false;
  let count = 0;
  let piece: Datum[][] = [];

  const write = async (): Promise<void> => {
    run.signal.throwIfAborted();
    await seekRoom(piece, table, run);
    await writer.insert(piece, run, queue);
    count += piece.length;
    piece = [];
  };
  const take = async (rows: readonly CopyRow[]): Promise<void> => {
    for (const one of rows) {
      if (isHeader) {
        isHeader = false;
        if (options.header === 'match') checkHeader(one, columns);
        continue;
      }
      const row = await makeRow(one, run);
      try {
        writer.prepare(row, run);
      } catch (error) {
        throw located(error, `COPY ${table.name}, line ${one.line}`);
      }
      if (piece.push(row) >= PIECE_ROWS) await write();
    }
  };

  const shape = { format: options.format === 'binary' ? 'binary' : 'text', columnCount: columns.length } as const;
  for await (const data of port.receive(shape, context.signal)) {
    await take(decoder.push(data));
  }
  await take(decoder.finish());
  if (piece.length > 0) await write();
  await queue.settle(run);
  return { tag: `COPY ${count}`, rowCount: count };
}

async function planSource(context: RunContext, stmt: CopyFrom): Promise<CopySource> {
  const tracked = (await context.catalog()).tracked();
  const env = planEnvironment(context, tracked, await context.roles());
  const { table } = env.resolveTable(stmt.table, 'INSERT');
  const { pos } = stmt;
  const names: readonly Name[] =
    stmt.columns.length > 0
      ? stmt.columns
      : table.columns
          .filter((column) => column.state === 'public' && !column.hidden && column.computeExpr === undefined)
          .map((column) => ({ text: column.name, pos }));
  const values = names.map((_, i): Expr => ({ kind: 'placeholder', index: i + 1, pos }));
  const insert: InsertStatement = {
    kind: 'insert',
    with: undefined,
    upsert: false,
    table: stmt.table,
    alias: undefined,
    columns: names,
    // What COPY brings is as it was when it left: identities too, as in PostgreSQL.
    overriding: 'system',
    source: {
      kind: 'select',
      with: undefined,
      body: { kind: 'values', rows: [values], pos },
      orderBy: [],
      limit: undefined,
      offset: undefined,
      locking: [],
      pos,
    },
    onConflict: undefined,
    returning: undefined,
    pos,
  };
  const plan = planStatement(env, insert);
  const { root } = plan;
  const row = root.kind === 'insert' && root.input.kind === 'values' ? root.input.rows[0] : undefined;
  if (root.kind !== 'insert' || !row) throw new StatementError(SqlState.InternalError, 'internal error: COPY was not planned as an INSERT');
  context.transaction.noteCatalog(tracked.dependencies, true, context.engine.catalog);
  const columns = root.targets.map((position) => root.table.columns[position] as ColumnDescriptor);
  return { table: root.table, columns, row, types: plan.placeholderTypes };
}

/** Fields to a whole row: plain parameters are taken as they are, the rest is evaluated. */
export function rowMaker(
  { table, columns, row, types }: CopySource,
  options: CopyOptions,
  text: TextContext,
): (row: CopyRow, run: Run) => Promise<Datum[]> {
  const decoders = types.map((type) => fieldDecoder(type, options, text));
  const isPlain = row.every((expr) => expr.kind === 'placeholder' || expr.kind === 'const');
  const maker: RowMaker | undefined = isPlain ? undefined : compileRow(row);
  return async ({ fields, line }, run) => {
    if (fields.length !== columns.length) {
      const missing = columns[fields.length];
      throw badCopyData(missing ? `missing data for column "${missing.name}"` : 'extra data after last expected column', line);
    }
    const values: Datum[] = new Array(fields.length);
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Bytes | null;
      if (field === null) {
        values[i] = null;
        continue;
      }
      try {
        values[i] = (decoders[i] as (field: Bytes) => Datum)(field);
      } catch (error) {
        throw located(error, `COPY ${table.name}, line ${line}, column ${columns[i]?.name}: ${shown(field, options)}`);
      }
    }
    if (!maker)
      return row.map((expr) => (expr.kind === 'placeholder' ? (values[expr.index] as Datum) : expr.kind === 'const' ? expr.value : null));
    const ctx = { ...run.eval, placeholders: values };
    try {
      return maker.sync ? maker.sync([], ctx) : await maker.async([], ctx);
    } catch (error) {
      throw located(error, `COPY ${table.name}, line ${line}`);
    }
  };
}

function fieldDecoder(type: ColumnType, options: CopyOptions, context: TextContext): (field: Bytes) => Datum {
  if (options.format === 'binary') return binaryDecoder(type);
  if (type.family === 'string') return checkUtf8;
  const parse = parser(type);
  return (field) => parse(isAscii(field) ? field : utf8Decode(checkUtf8(field)), context);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything beyond ASCII is what is looked for.
const BEYOND_ASCII = /[^\x00-\x7f]/;

function isAscii(field: string): boolean {
  return !BEYOND_ASCII.test(field);
}

function checkUtf8(field: Bytes): Bytes {
  if (isAscii(field) || isUtf8(toBuffer(field))) return field;
  throw new StatementError(SqlState.CharacterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"');
}

function checkHeader({ fields, line }: CopyRow, columns: readonly ColumnDescriptor[]): void {
  columns.forEach((column, i) => {
    const name = fields[i];
    if (typeof name === 'string' && utf8Decode(name) === column.name) return;
    const got = typeof name === 'string' ? `"${utf8Decode(name)}"` : 'null value';
    throw badCopyData(`column name mismatch in header line field ${i + 1}: got ${got}, expected "${column.name}"`, line);
  });
  if (fields.length > columns.length) throw badCopyData('wrong number of fields in header line', line);
}

/** The error with its place in the data, unless it says more already. */
function located(error: unknown, place: string): unknown {
  return isVarveError(error) && error.detail === undefined ? withFields(error, { detail: place }) : error;
}

function shown(field: Bytes, options: CopyOptions): string {
  if (options.format === 'binary' || !isUtf8(toBuffer(field))) return `${field.length} bytes`;
  const text = utf8Decode(field);
  return `"${text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text}"`;
}
