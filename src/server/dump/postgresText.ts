/**
 * Statements of a dump that PostgreSQL 15 replays, and Varve too.
 *
 * What PostgreSQL does in another way:
 *   names      every one with its schema; names of indexes are unique in a schema there, so one that is taken gets its table's before it
 *   row ids    a hidden one is left out; a column whose default is unique_rowid() counts with a sequence of its own
 *   computed   virtual columns are stored
 *   indexes    come after the rows; STORING is INCLUDE
 *   regions    a type and a column like others, whose default is the primary region
 *   left out   ON UPDATE, column families, storage parameters, where tables live
 */
import type {
  ColumnDescriptor,
  FunctionDescriptor,
  IndexDescriptor,
  SequenceOptions,
  TableDescriptor,
  TypeDescriptor,
} from '../../catalog/descriptor.ts';
import { columnById, givenKeyColumnIds, implicitKeyColumns, publicColumns } from '../../catalog/descriptor.ts';
import { quoteLiteral, quoteName } from '../../catalog/names.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { type ColumnType, elementOf, pgTypeName } from '../../catalog/type.ts';
import { displayExpr, foreignKeyText } from '../../sql/exec/showCreate.ts';
import { actionSettings, commentsOn, functionText } from './cockroachText.ts';
import { type DumpDialect, type DumpStep, isRowId } from './dumpPlan.ts';
import { portableExpr, portableQuery } from './portableSql.ts';

/** Reserved there, and not here. */
const RESERVED: ReadonlySet<string> = new Set(['binary', 'freeze', 'system_user', 'tablesample', 'verbose']);

const quote = (name: string): string => (RESERVED.has(name) ? `"${name}"` : quoteName(name));
const quoteAll = (parts: readonly string[]): string => parts.map(quote).join('.');

export function postgresText(snapshot: CatalogSnapshot, database: string): DumpDialect {
  return new PostgresText(snapshot, database);
}

class PostgresText implements DumpDialect {
  readonly #snapshot: CatalogSnapshot;
  readonly #database: string;
  /** Names of relations by schema; indexes join them as they are written. */
  readonly #taken = new Map<number, Set<string>>();

  constructor(snapshot: CatalogSnapshot, database: string) {
    this.#snapshot = snapshot;
    this.#database = database;
  }

  name(object: TableDescriptor | TypeDescriptor | FunctionDescriptor): string {
    return quoteAll(this.#snapshot.fullName(object).slice(1));
  }

  column(name: string): string {
    return quote(name);
  }

  schema({ name }: { readonly name: string }): string {
    return `CREATE SCHEMA IF NOT EXISTS ${quote(name)}`;
  }

  type(type: TypeDescriptor): string {
    return `CREATE TYPE ${this.name(type)} AS ENUM (${type.members.map(quoteLiteral).join(', ')})`;
  }

  sequence(sequence: TableDescriptor): string {
    const options = sequence.sequence;
    return `CREATE SEQUENCE ${this.name(sequence)}${options ? sequenceOptions(options) : ''}`;
  }

  table(table: TableDescriptor): DumpStep[] {
    const counters = this.#counters(table);
    const lines = publicColumns(table)
      .filter((column) => !isRowId(table, column) && !column.isIndexExpression)
      .map((column) => this.#columnText(table, column, counters.get(column.id)));
    const key = givenKeyColumnIds(table.primaryIndex)
      .map((id) => columnById(table, id))
      .filter((column) => column !== undefined);
    if (!key.some((column) => isRowId(table, column))) {
      const columns = key.map((column) => quote(column.name)).join(', ');
      lines.push(`CONSTRAINT ${quote(this.#indexName(table, table.primaryIndex.name))} PRIMARY KEY (${columns})`);
    }
    for (const { name, expr, validated } of table.checks) {
      if (validated) lines.push(`CONSTRAINT ${quote(name)} CHECK (${this.#expr(expr)})`);
    }
    const body = lines.length === 0 ? '()' : `(\n\t${lines.join(',\n\t')}\n)`;
    return [
      ...[...counters.values()].map((name) => this.#step('schema', 'sequence', table, `CREATE SEQUENCE ${name}`)),
      this.#step('schema', 'table', table, `CREATE TABLE ${this.name(table)} ${body}`),
      ...[...counters].map(([id, name]) =>
        this.#step('schema', 'sequence', table, `ALTER SEQUENCE ${name} OWNED BY ${this.name(table)}.${this.#columnName(table, id)}`),
      ),
    ];
  }

  afterData(table: TableDescriptor): DumpStep[] {
    return [...this.#counters(table)].map(([id, name]) => {
      const next = `(SELECT COALESCE(max(${this.#columnName(table, id)}), 0) + 1 FROM ${this.name(table)})`;
      return this.#step('data', 'sequence value', table, `SELECT setval(${quoteLiteral(name)}, ${next}, false)`);
    });
  }

  indexes(table: TableDescriptor): DumpStep[] {
    return table.indexes
      .filter((index) => index.state === 'public')
      .map((index) => this.#step('after', 'index', table, this.#indexText(table, index)));
  }

  constraints(table: TableDescriptor): DumpStep[] {
    return [
      ...this.indexes(table),
      // There it has an index, whose rows have to keep it: what was not validated is left out.
      ...(table.uniqueWithoutIndex ?? [])
        .filter((unique) => unique.validated)
        .map(({ name, columnIds }) => {
          const columns = columnIds.map((id) => this.#columnName(table, id)).join(', ');
          const constraint = quote(this.#indexName(table, name));
          return this.#step(
            'after',
            'constraint',
            table,
            `ALTER TABLE ${this.name(table)} ADD CONSTRAINT ${constraint} UNIQUE (${columns})`,
          );
        }),
      ...table.checks
        .filter((check) => !check.validated)
        .map(({ name, expr }) =>
          this.#step(
            'after',
            'constraint',
            table,
            `ALTER TABLE ${this.name(table)} ADD CONSTRAINT ${quote(name)} CHECK (${this.#expr(expr)}) NOT VALID`,
          ),
        ),
    ];
  }

  foreignKeys(table: TableDescriptor): DumpStep[] {
    const keys = table.foreignKeys.map((fk) => {
      const text = foreignKeyText(table, fk, this.#snapshot);
      return this.#step('after', 'foreign key', table, `ALTER TABLE ${this.name(table)} ADD CONSTRAINT ${quote(fk.name)} ${text}`);
    });
    return [...actionSettings(table).map((statement) => this.#step('after', 'setting', table, statement)), ...keys];
  }

  view(view: TableDescriptor): string {
    const columns = view.columns.filter((column) => !column.hidden).map((column) => quote(column.name));
    const kind = view.view?.isMaterialized ? 'MATERIALIZED VIEW' : 'VIEW';
    return `CREATE ${kind} ${this.name(view)} (${columns.join(', ')}) AS ${portableQuery(view.view?.query ?? '', this.#database, 'postgres')}`;
  }

  function(one: FunctionDescriptor): string {
    return functionText(
      one,
      this.name(one),
      (type) => this.#typeName(type),
      (text) => portableQuery(text, this.#database, 'postgres'),
    );
  }

  comments(object: TableDescriptor | TypeDescriptor): DumpStep[] {
    const schema = this.#snapshot.fullName(object)[1] ?? 'public';
    const given = object.kind === 'table' ? this.#given.get(object.id) : undefined;
    return commentsOn(object, this.name(object), (index) => quoteAll([schema, given?.get(index) ?? index]), quote);
  }

  #step(phase: DumpStep['phase'], kind: string, table: TableDescriptor, statement: string): DumpStep {
    return { phase, kind, name: this.name(table), statement };
  }

  #expr(text: string): string {
    return portableExpr(displayExpr(text, this.#snapshot), this.#database, 'postgres');
  }

  #columnName(table: TableDescriptor, id: number): string {
    return quote(columnById(table, id)?.name ?? '');
  }

  #columnText(table: TableDescriptor, column: ColumnDescriptor, counter: string | undefined): string {
    const parts = [quote(column.name), this.#typeName(column.type)];
    if (column.computeExpr !== undefined) parts.push(`GENERATED ALWAYS AS (${this.#expr(column.computeExpr)}) STORED`);
    else if (column.generatedAsIdentity)
      parts.push(`GENERATED ${column.generatedAsIdentity.toUpperCase()} AS IDENTITY${this.#identity(column)}`);
    else if (counter !== undefined) parts.push(`DEFAULT nextval(${quoteLiteral(counter)}::regclass)`);
    else if (column.defaultExpr !== undefined) parts.push(`DEFAULT ${this.#homeRegion(column) ?? this.#expr(column.defaultExpr)}`);
    if (!column.nullable && !givenKeyColumnIds(table.primaryIndex).includes(column.id)) parts.push('NOT NULL');
    return parts.join(' ');
  }

  /** What stands for a default that asks where the session is. */
  #homeRegion({ type, defaultExpr }: ColumnDescriptor): string | undefined {
    const regions = type.family === 'enum' && this.#snapshot.database(this.#database)?.regions;
    if (!regions || type.typeId !== regions.typeId || !defaultExpr?.includes('gateway_region()')) return undefined;
    return `${quoteLiteral(regions.primaryRegion)}::${this.#typeName(type)}`;
  }

  #identity(column: ColumnDescriptor): string {
    const sequence = this.#snapshot.tableById(column.usesSequenceIds?.[0] ?? 0);
    if (!sequence?.sequence) return '';
    return ` (SEQUENCE NAME ${this.name(sequence)}${sequenceOptions(sequence.sequence, column.type)})`;
  }

  #typeName(type: ColumnType): string {
    if (type.family === 'array' && !type.variant) return `${this.#typeName(elementOf(type))}[]`;
    if (type.family === 'enum') return quoteAll([type.schema ?? 'public', type.name ?? '']);
    // TEXT has no length.
    if (type.family === 'string' && type.variant === undefined && type.width !== undefined) return `character varying(${type.width})`;
    if (type.family === 'interval') return type.precision === undefined ? 'interval' : `interval(${type.precision})`;
    return pgTypeName(type);
  }

  /** Sequences for the columns that number themselves by unique_rowid(), by column id. */
  #counters(table: TableDescriptor): Map<number, string> {
    let known = this.#counterNames.get(table.id);
    if (known) return known;
    known = new Map();
    this.#counterNames.set(table.id, known);
    const schema = this.#snapshot.fullName(table)[1] ?? 'public';
    for (const column of publicColumns(table)) {
      if (column.defaultExpr !== 'unique_rowid()' || isRowId(table, column)) continue;
      known.set(column.id, quoteAll([schema, this.#free(table.schemaId, `${table.name}_${column.name}_seq`)]));
    }
    return known;
  }

  readonly #counterNames = new Map<number, Map<number, string>>();

  #indexText(table: TableDescriptor, index: IndexDescriptor): string {
    const name = quote(this.#indexName(table, index.name));
    const isPlain =
      index.predicate === undefined &&
      index.columnIds.every(
        (id, i) => (!columnById(table, id)?.isIndexExpression || i < implicitKeyColumns(index)) && index.directions[i] === 'ASC',
      );
    const include =
      index.storeColumnIds.length > 0 ? ` INCLUDE (${index.storeColumnIds.map((id) => this.#columnName(table, id)).join(', ')})` : '';
    if (index.unique && index.isConstraint && isPlain) {
      const columns = givenKeyColumnIds(index)
        .map((id) => this.#columnName(table, id))
        .join(', ');
      return `ALTER TABLE ${this.name(table)} ADD CONSTRAINT ${name} UNIQUE (${columns})${include}`;
    }
    const keys = givenKeyColumnIds(index).map((id, i) => {
      const column = columnById(table, id);
      const key =
        column?.isIndexExpression && column.computeExpr !== undefined ? `(${this.#expr(column.computeExpr)})` : this.#columnName(table, id);
      return index.directions[i + implicitKeyColumns(index)] === 'DESC' ? `${key} DESC` : key;
    });
    const where = index.predicate === undefined ? '' : ` WHERE ${this.#expr(index.predicate)}`;
    // Columns before the inverted one would ask for an extension there.
    if (index.inverted)
      return `CREATE INDEX ${name} ON ${this.name(table)} USING gin (${this.#columnName(table, index.inverted.columnId)})${where}`;
    return `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${name} ON ${this.name(table)} (${keys.join(', ')})${include}${where}`;
  }

  /** By table, the names that its indexes have been given. */
  readonly #given = new Map<number, Map<string, string>>();

  #indexName(table: TableDescriptor, name: string): string {
    const given = this.#given.get(table.id) ?? new Map<string, string>();
    this.#given.set(table.id, given);
    const known = given.get(name);
    if (known !== undefined) return known;
    const taken = this.#names(table.schemaId);
    const chosen = taken.has(name) ? this.#free(table.schemaId, `${table.name}_${name}`) : name;
    taken.add(chosen);
    given.set(name, chosen);
    return chosen;
  }

  #free(schemaId: number, base: string): string {
    const taken = this.#names(schemaId);
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}${i}`;
    taken.add(name);
    return name;
  }

  #names(schemaId: number): Set<string> {
    let names = this.#taken.get(schemaId);
    if (!names) {
      const databaseId = this.#snapshot.database(this.#database)?.id ?? 0;
      names = new Set(this.#snapshot.tablesOf(databaseId, { schemaId }).map((table) => table.name));
      this.#taken.set(schemaId, names);
    }
    return names;
  }
}

/** `typed`: an identity's, which has the type of its column. */
function sequenceOptions(options: SequenceOptions, typed?: ColumnType): string {
  // PostgreSQL bounds a sequence by its type; here the bounds may be wider.
  const fits = (bits: number): boolean => {
    const end = 2n ** BigInt(bits - 1);
    return BigInt(options.minValue) >= -end && BigInt(options.maxValue) < end;
  };
  const width = options.integerWidth;
  const type = typed || width === 64 || !fits(width) ? '' : width === 32 ? ' AS integer' : ' AS smallint';
  const range = !typed || fits(typed.width ?? 64) ? ` MINVALUE ${options.minValue} MAXVALUE ${options.maxValue}` : '';
  const cache = options.cacheSize === '1' ? '' : ` CACHE ${options.cacheSize}`;
  return `${type} START WITH ${options.start} INCREMENT BY ${options.increment}${range}${cache}${options.cycle ? ' CYCLE' : ''}`;
}
