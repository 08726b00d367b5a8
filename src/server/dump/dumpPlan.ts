/**
 * Dump plan: what a dump of a database consists of, in an order that replays.
 *
 *   schema    schemas, types, sequences, functions that read no table, tables, then views and functions over them
 *   data      rows table by table, then what sequences have come to
 *   after     what rows must come before: foreign keys, materialized views and views over them, comments
 *   refresh   instead of `after` where only data is dumped: materialized views computed again
 *
 * A dump of named tables holds beside them the types and sequences they need, and nothing else.
 * Rows of a table that others refer to come before theirs, as far as the references form no circle,
 * so that data alone can be loaded into tables that have their foreign keys.
 *
 * Lives elsewhere: the text of each statement (cockroachText.ts, postgresText.ts), SQL (dumpFunctions.ts).
 */
import type { FunctionDescriptor, SequenceOptions, TableDescriptor, TypeDescriptor } from '../../catalog/descriptor.ts';
import { functionIdsUsed } from '../../catalog/enumType.ts';
import { isTable, publicColumns, type ColumnDescriptor } from '../../catalog/descriptor.ts';
import { decodeSequenceValue, sequenceKey } from '../../catalog/sequences.ts';
import type { CatalogSnapshot, ResolvedSchema } from '../../catalog/snapshot.ts';
import { elementOf } from '../../catalog/type.ts';
import type { KvReader } from '../../kv/kv.ts';

export type DumpPhase = 'schema' | 'data' | 'after' | 'refresh';

/** One statement of a dump; or, of phase `data`, a table whose rows are to be copied. */
export interface DumpStep {
  readonly phase: DumpPhase;
  readonly kind: string;
  /** Of the object, quoted as the dump writes it. */
  readonly name: string;
  /** Without a semicolon. For rows: the query that gives them. */
  readonly statement: string;
  /** For rows: the columns, quoted, and what family of types each is of. */
  readonly columns?: readonly { readonly name: string; readonly family: string }[];
}

/** The statements of one dialect. Each text without a semicolon. */
export interface DumpDialect {
  name(object: TableDescriptor | TypeDescriptor | FunctionDescriptor): string;
  column(name: string): string;
  schema(schema: ResolvedSchema): string;
  /** Undefined: it comes with the database. */
  type(type: TypeDescriptor): string | undefined;
  sequence(sequence: TableDescriptor): string;
  /** CREATE TABLE and what else goes before its rows. */
  table(table: TableDescriptor): DumpStep[];
  /** What comes after its rows: indexes and constraints in any order, foreign keys last. */
  constraints(table: TableDescriptor): DumpStep[];
  foreignKeys(table: TableDescriptor): DumpStep[];
  view(view: TableDescriptor): string;
  function(one: FunctionDescriptor): string;
  /** The indexes of a materialized view; a table's are in `table` or `constraints`. */
  indexes(view: TableDescriptor): DumpStep[];
  comments(object: TableDescriptor | TypeDescriptor): DumpStep[];
  /** Other statements that follow a table's rows. */
  afterData(table: TableDescriptor): DumpStep[];
}

export interface DumpRequest {
  readonly snapshot: CatalogSnapshot;
  readonly reader: KvReader;
  readonly databaseId: number;
  /** Undefined: all of the database. */
  readonly tables: readonly TableDescriptor[] | undefined;
  readonly dialect: DumpDialect;
}

export async function dumpPlan(request: DumpRequest): Promise<DumpStep[]> {
  const { dialect, snapshot } = request;
  const { schemas, types, relations, functions } = contents(request);
  const tables = relations.filter(isTable);
  const sequences = relations.filter((one) => one.sequence && !isIdentitySequence(one, snapshot));
  const isPlain = ({ dependsOnIds }: FunctionDescriptor) => dependsOnIds.every((id) => snapshot.tableById(id)?.sequence);
  const plain = inOrder(functions.filter(isPlain)).early;
  const over = inOrder([...relations.filter((one) => one.view), ...functions.filter((one) => !isPlain(one))]);
  const { early, late } = { early: over.early.filter(isRelation), late: over.late.filter(isRelation) };
  const step = (
    phase: DumpPhase,
    kind: string,
    object: TableDescriptor | TypeDescriptor | FunctionDescriptor,
    statement: string,
  ): DumpStep => ({
    phase,
    kind,
    name: dialect.name(object),
    statement,
  });
  const viewStep = (phase: DumpPhase) => (view: TableDescriptor | FunctionDescriptor) =>
    view.kind === 'function'
      ? step(phase, 'function', view, dialect.function(view))
      : step(phase, view.view?.isMaterialized ? 'materialized view' : 'view', view, dialect.view(view));
  return [
    ...schemas.map((schema): DumpStep => ({ phase: 'schema', kind: 'schema', name: schema.name, statement: dialect.schema(schema) })),
    ...types.flatMap((type) => {
      const text = dialect.type(type);
      return text === undefined ? [] : [step('schema', 'type', type, text)];
    }),
    ...sequences.map((sequence) => step('schema', 'sequence', sequence, dialect.sequence(sequence))),
    ...plain.map(viewStep('schema')),
    ...tables.flatMap((table) => dialect.table(table)),
    ...sequences.flatMap((sequence) => ownership(sequence, request)),
    ...over.early.map(viewStep('schema')),
    ...referencedFirst(tables).map((table) => rowsOf(table, dialect)),
    ...tables.flatMap((table) => dialect.afterData(table)),
    ...(await sequenceValues(
      relations.filter((one) => one.sequence),
      request,
    )),
    ...tables.flatMap((table) => dialect.constraints(table)),
    ...tables.flatMap((table) => dialect.foreignKeys(table)),
    ...over.late.map(viewStep('after')),
    ...late.filter((view) => view.view?.isMaterialized).flatMap((view) => dialect.indexes(view)),
    // In the order in which a replay makes the objects, so that its own dump is the same.
    ...[...types, ...relations.filter((one) => one.sequence), ...tables, ...early, ...late].flatMap((object) => dialect.comments(object)),
    ...late
      .filter((view) => view.view?.isMaterialized)
      .map((view) => step('refresh', 'materialized view', view, `REFRESH MATERIALIZED VIEW ${dialect.name(view)}`)),
  ];
}

/** Columns that a dump gives values for: not computed ones, and not a row id that nobody asked for. */
export function dumpedColumns(table: TableDescriptor): ColumnDescriptor[] {
  return publicColumns(table).filter((column) => column.computeExpr === undefined && !isRowId(table, column));
}

/** The hidden column that stands in for a primary key. */
export function isRowId(table: TableDescriptor, column: ColumnDescriptor): boolean {
  const { columnIds } = table.primaryIndex;
  const isKey = columnIds.length === 1 && columnIds[0] === column.id;
  return column.hidden === true && isKey && column.defaultExpr === 'unique_rowid()';
}

/** The column that a sequence is the identity of. */
export function identityOf(
  sequence: TableDescriptor,
  snapshot: CatalogSnapshot,
): { table: TableDescriptor; column: ColumnDescriptor } | undefined {
  const owner = sequence.sequence?.ownedBy;
  const table = owner && snapshot.tableById(owner.tableId);
  const column = table?.columns.find((one) => one.id === owner?.columnId);
  return table && column?.generatedAsIdentity !== undefined && column.usesSequenceIds?.includes(sequence.id)
    ? { table, column }
    : undefined;
}

const isIdentitySequence = (sequence: TableDescriptor, snapshot: CatalogSnapshot): boolean => identityOf(sequence, snapshot) !== undefined;

interface Contents {
  readonly schemas: readonly ResolvedSchema[];
  readonly types: readonly TypeDescriptor[];
  readonly relations: readonly TableDescriptor[];
  readonly functions: readonly FunctionDescriptor[];
}

function contents({ snapshot, databaseId, tables }: DumpRequest): Contents {
  const database = snapshot.databaseById(databaseId);
  if (!database) return { schemas: [], types: [], relations: [], functions: [] };
  const own = snapshot.schemasOf(database).filter((schema) => schema.descriptor !== undefined);
  const isTemporary = (schemaId: number): boolean => snapshot.schemaById(database, schemaId)?.name.startsWith('pg_temp') === true;
  if (!tables) {
    return {
      schemas: own.filter((schema) => !isTemporary(schema.id)),
      types: snapshot.typesOf(databaseId),
      functions: snapshot.functionsOf(databaseId),
      relations: snapshot.tablesOf(databaseId).filter((table) => !isTemporary(table.schemaId)),
    };
  }
  const ids = new Set(tables.map((table) => table.id));
  for (const table of tables) {
    for (const column of table.columns) for (const id of column.usesSequenceIds ?? []) ids.add(id);
  }
  const relations = snapshot.tablesOf(databaseId).filter((table) => ids.has(table.id));
  const types = snapshot
    .typesOf(databaseId)
    .filter((type) => type.referencedByIds.some((id) => ids.has(id)) || usesType(relations, type.id));
  const used = new Set(relations.flatMap(functionIdsUsed));
  const functions = snapshot.functionsOf(databaseId).filter(({ id }) => used.has(id));
  const schemaIds = new Set([...relations, ...types, ...functions].map((object) => object.schemaId));
  return { schemas: own.filter((schema) => schemaIds.has(schema.id)), types, relations, functions };
}

function usesType(relations: readonly TableDescriptor[], typeId: number): boolean {
  return relations.some((table) =>
    table.columns.some(({ type }) => type.typeId === typeId || (type.family === 'array' && elementOf(type).typeId === typeId)),
  );
}

const isRelation = (one: TableDescriptor | FunctionDescriptor): one is TableDescriptor => one.kind === 'table';

/** Views and functions each after those it reads; `late`: materialized ones, and those above them. */
function inOrder<D extends TableDescriptor | FunctionDescriptor>(views: readonly D[]): { early: D[]; late: D[] } {
  const byId = new Map(views.map((view) => [view.id, view]));
  const early: D[] = [];
  const late: D[] = [];
  const isLate = new Map<number, boolean>();
  const visit = (view: D): boolean => {
    const known = isLate.get(view.id);
    if (known !== undefined) return known;
    let waits = view.kind === 'table' && view.view?.isMaterialized === true;
    const reads = view.kind === 'function' ? view.dependsOnIds : (view.view?.dependsOnIds ?? []);
    for (const id of [...reads, ...functionIdsUsed(view)]) {
      const below = byId.get(id);
      if (below && visit(below)) waits = true;
    }
    isLate.set(view.id, waits);
    (waits ? late : early).push(view);
    return waits;
  };
  for (const view of views) visit(view);
  return { early, late };
}

function referencedFirst(tables: readonly TableDescriptor[]): TableDescriptor[] {
  const byId = new Map(tables.map((table) => [table.id, table]));
  const ordered: TableDescriptor[] = [];
  const seen = new Set<number>();
  // Chains of references can be long: a stack of our own.
  for (const start of tables) {
    const stack: { table: TableDescriptor; next: number }[] = [];
    const enter = (table: TableDescriptor | undefined): void => {
      if (!table || seen.has(table.id)) return;
      seen.add(table.id);
      stack.push({ table, next: 0 });
    };
    enter(start);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const fk = top.table.foreignKeys[top.next++];
      if (fk) enter(byId.get(fk.referencedTableId));
      else ordered.push((stack.pop() as typeof top).table);
    }
  }
  return ordered;
}

function rowsOf(table: TableDescriptor, dialect: DumpDialect): DumpStep {
  const columns = dumpedColumns(table).map(({ name, type }) => ({ name: dialect.column(name), family: type.family }));
  return { phase: 'data', kind: 'rows', name: dialect.name(table), statement: String(table.id), columns };
}

/** `ALTER SEQUENCE ... OWNED BY`, which needs the table. */
function ownership(sequence: TableDescriptor, { dialect, snapshot }: DumpRequest): DumpStep[] {
  const owner = sequence.sequence?.ownedBy;
  const table = owner && snapshot.tableById(owner.tableId);
  const column = table?.columns.find((one) => one.id === owner?.columnId);
  if (!table || !column) return [];
  const name = dialect.name(sequence);
  const statement = `ALTER SEQUENCE ${name} OWNED BY ${dialect.name(table)}.${dialect.column(column.name)}`;
  return [{ phase: 'schema', kind: 'sequence', name, statement }];
}

async function sequenceValues(sequences: readonly TableDescriptor[], { reader, dialect }: DumpRequest): Promise<DumpStep[]> {
  const counted = sequences.filter((one) => !one.sequence?.isVirtual);
  const stored = await reader.get(counted.map((one) => sequenceKey(one.id)));
  return counted.flatMap((sequence, i): DumpStep[] => {
    const options = sequence.sequence as SequenceOptions;
    const bytes = stored[i];
    if (bytes === undefined) return [];
    const last = BigInt(decodeSequenceValue(bytes));
    // Nothing has been taken since it was made: CREATE SEQUENCE says it all.
    if (last === BigInt(options.start) - BigInt(options.increment)) return [];
    const isCalled = last >= BigInt(options.minValue) && last <= BigInt(options.maxValue);
    const value = isCalled ? last : last + BigInt(options.increment);
    const name = dialect.name(sequence);
    const literal = `'${name.replaceAll("'", "''")}'`;
    return [{ phase: 'data', kind: 'sequence value', name, statement: `SELECT setval(${literal}, ${value}, ${isCalled})` }];
  });
}
