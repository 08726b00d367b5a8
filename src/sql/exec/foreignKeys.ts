/**
 * Foreign keys: checked, and their actions carried out, at the end of the statement.
 *
 * Row changes are queued as they are written. Settling the queue first runs the actions of the rows
 * that others refer to (ON DELETE, ON UPDATE), which may queue further changes, then the checks in the
 * order of the changes: of one change first what its new rows refer to, then that nothing refers any
 * more to keys that went. All these reads are part of the read set at every isolation level: a
 * concurrent change fails one of the two. An action needs its user's privileges on the table it changes.
 *
 * A statement reports its changes piece by piece; what is queued is one change of all their rows, so
 * an action finds its rows before it moves the first of them, and a check reads a table once.
 *
 * A check of a deferred foreign key notes what does not hold instead of failing (deferredKeys.ts).
 *
 * Lives elsewhere: the keys themselves (tableWriter.ts), finding rows (the optimizer's own paths).
 */
import type { Bytes } from '../../base/bytes.ts';
import { ConstraintError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import {
  allIndexes,
  type ForeignKeyDescriptor,
  givenKeyColumnIds,
  type TableDescriptor,
  type UniqueConstraintDescriptor,
} from '../../catalog/descriptor.ts';
import { fillBucket } from '../../catalog/buckets.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import { tableCodec } from '../../catalog/rowCodec.ts';
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { FunctionRegistry } from '../expr/registry.ts';
import { filterOf } from '../plan/filterPushdown.ts';
import { optimize } from '../plan/optimizer.ts';
import type { PlanNode } from '../plan/plan.ts';
import { tableShape } from '../plan/tableShape.ts';
import type { DanglingKey, DanglingKeys, DeferredKeys } from './deferredKeys.ts';
import { differ, keyHash, type KeyRow, keyOf, wholeScan } from './keyRows.ts';
import { notPresent, stillReferenced, violation } from './foreignKeyErrors.ts';
import { compileReadOnly as compileNode } from './operators.ts';
import { batched, breathe, collect, type Operator, type Run, withOuterRow } from './run.ts';
import type { StatementContext } from './statement.ts';
import { keptByReading } from './keptByReading.ts';
import { distinctKeys, refuseDuplicates } from './uniqueChecks.ts';
import { describeKey, describeRow } from './describeRow.ts';
import { defaultOf, type RowChange, type RowChangeSink, tableWriter } from './tableWriter.ts';

type Verb = 'insert' | 'update' | 'delete' | 'upsert';

/** Gives the transaction's deferred keys, when the check of a foreign key is put off in it. */
function deferredOf(table: TableDescriptor, fk: ForeignKeyDescriptor, run: Run): DeferredKeys | undefined {
  const { deferred } = run.context;
  return deferred.isDeferred(table, fk) ? deferred : undefined;
}

interface Outgoing {
  readonly fk: ForeignKeyDescriptor;
  readonly table: TableDescriptor;
  readonly verb: Verb;
  readonly rows: (readonly Datum[])[];
}

/** What ON DELETE and ON UPDATE may still do in a statement: foreign_key_cascades_limit. */
interface Room {
  left: number;
}

/** Keys of referenced rows that are gone or changed, and what they became (undefined: deleted). */
interface Incoming {
  readonly table: TableDescriptor;
  readonly action: 'update' | 'delete';
  /** What the statement is called in messages. */
  readonly verb: Verb;
  readonly changes: GoneRow[];
}

interface GoneRow {
  readonly old: readonly Datum[];
  readonly next: readonly Datum[] | undefined;
}

/** What one statement or action did to a table, as far as it has told; the arrays grow with each piece. */
interface Change {
  readonly table: TableDescriptor;
  readonly action: 'insert' | 'update' | 'delete';
  readonly verb: Verb;
  readonly referring: Map<ForeignKeyDescriptor, Outgoing>;
  incoming: Incoming | undefined;
  /** Keys whose absence is checked, by the foreign key that may refer to them. */
  readonly gone: Map<ForeignKeyDescriptor, GoneRow[]>;
}

/** A queue for one row change, over the catalog that its statement sees. */
export async function constraintQueue(context: StatementContext): Promise<ConstraintQueue> {
  return new ConstraintQueue(await context.catalog(), context.engine.functions);
}

export class ConstraintQueue implements RowChangeSink {
  readonly #catalog: CatalogSnapshot;
  readonly #functions: FunctionRegistry;
  #incoming: Incoming[] = [];
  readonly #checks: ((run: Run) => Promise<void>)[] = [];
  #room: Room | undefined;
  /** The latest change, while more of it may come. */
  #last: Change | undefined;

  constructor(catalog: CatalogSnapshot, functions: FunctionRegistry) {
    this.#catalog = catalog;
    this.#functions = functions;
  }

  /** Hears the changes of a statement that is called `verb`, whatever it does to a row. */
  as(verb: Verb): RowChangeSink {
    return {
      inserted: (table, rows) => this.inserted(table, rows, verb),
      updated: (table, changes) => this.updated(table, changes, verb),
      deleted: (table, rows) => this.deleted(table, rows, verb),
    };
  }

  inserted(table: TableDescriptor, rows: readonly (readonly Datum[])[], verb: Verb = 'insert'): void {
    const change = this.#changeOf(table, 'insert', verb);
    for (const fk of table.foreignKeys) this.#refers(change, fk, rows);
    for (const unique of keptByReading(table)) this.#claims(table, unique, rows);
  }

  updated(table: TableDescriptor, changes: readonly RowChange[], verb: Verb = 'update'): void {
    const update = this.#changeOf(table, 'update', verb);
    for (const fk of table.foreignKeys) {
      const changed = changes.filter((change) => differ(table, fk.columnIds, change.old, change.next));
      const rows = changed.map((change) => change.next);
      if (rows.length > 0) this.#refers(update, fk, rows);
    }
    for (const unique of keptByReading(table)) {
      const changed = changes.filter((change) => differ(table, unique.columnIds, change.old, change.next));
      this.#claims(
        table,
        unique,
        changed.map((change) => change.next),
      );
    }
    if (table.referencedByIds.length > 0) this.#hears(update, 'update', changes);
  }

  deleted(table: TableDescriptor, rows: readonly (readonly Datum[])[], verb: Verb = 'delete'): void {
    if (table.referencedByIds.length > 0) {
      const gone = rows.map((old) => ({ old, next: undefined }));
      this.#hears(this.#changeOf(table, 'delete', verb), 'delete', gone);
    }
  }

  /** The change that another piece belongs to, or a new one. */
  #changeOf(table: TableDescriptor, action: Change['action'], verb: Verb): Change {
    const last = this.#last;
    if (last?.table === table && last.action === action && last.verb === verb) return last;
    this.#last = { table, action, verb, referring: new Map(), incoming: undefined, gone: new Map() };
    return this.#last;
  }

  /** Carries out actions and checks until nothing is left. 23503 when a reference does not hold. */
  async settle(run: Run): Promise<void> {
    while (this.#incoming.length > 0) {
      const incoming = this.#incoming;
      this.#incoming = [];
      this.#last = undefined;
      for (const item of incoming) await this.#act(item, run);
    }
    this.#last = undefined;
    for (const check of this.#checks.splice(0)) await check(run);
  }

  /** Checked when all is written: rows may trade keys. */
  #claims(table: TableDescriptor, unique: UniqueConstraintDescriptor, rows: readonly (readonly Datum[])[]): void {
    const keys = distinctKeys(table, unique.columnIds, rows);
    if (keys.length === 0) return;
    this.#checks.push(async (run) => refuseDuplicates(table, unique, await this.#childRows(table, unique, keys, run)));
  }

  #refers({ table, verb, referring }: Change, fk: ForeignKeyDescriptor, rows: readonly (readonly Datum[])[]): void {
    const known = referring.get(fk);
    if (known) {
      for (const row of rows) known.rows.push(row);
      return;
    }
    const item: Outgoing = { fk, table, verb, rows: [...rows] };
    referring.set(fk, item);
    this.#checks.push((run) => this.#checkParents(item, run));
  }

  /** Queues what a change of referenced rows asks for: its checks stand before those of its actions. */
  #hears(change: Change, action: Incoming['action'], rows: readonly GoneRow[]): void {
    const { table, verb, gone } = change;
    if (change.incoming) {
      for (const row of rows) change.incoming.changes.push(row);
    } else {
      change.incoming = { table, action, verb, changes: [...rows] };
      this.#incoming.push(change.incoming);
    }
    for (const { child, fk } of this.#referencing(table)) {
      if (!isCheckedOnly(action === 'delete' ? fk.onDelete : fk.onUpdate)) continue;
      const wanted = goneKeys(table, rows, fk);
      if (wanted.length === 0) continue;
      const known = gone.get(fk);
      if (known) {
        for (const row of wanted) known.push(row);
        continue;
      }
      gone.set(fk, wanted);
      this.#checks.push((run) => this.#checkChildren(table, child, fk, verb, action, wanted, run));
    }
  }

  /** What references each table, its own foreign keys included. */
  #referencing(table: TableDescriptor): { child: TableDescriptor; fk: ForeignKeyDescriptor }[] {
    const found: { child: TableDescriptor; fk: ForeignKeyDescriptor }[] = [];
    for (const id of table.referencedByIds) {
      const child = id === table.id ? table : this.#catalog.tableById(id);
      if (!child || child.state === 'DROP') continue;
      for (const fk of child.foreignKeys) if (fk.referencedTableId === table.id) found.push({ child, fk });
    }
    return found;
  }

  async #act(item: Incoming, run: Run): Promise<void> {
    const { table } = item;
    const isDelete = item.action === 'delete';
    for (const { child, fk } of this.#referencing(table)) {
      const action = isDelete ? fk.onDelete : fk.onUpdate;
      if (isCheckedOnly(action)) continue;
      const wanted = goneKeys(table, item.changes, fk);
      if (wanted.length === 0) continue;
      await this.#allow(child, isDelete && action === 'CASCADE' ? 'DELETE' : 'UPDATE', run);
      const rows = await this.#childRows(
        child,
        fk,
        wanted.map((change) => keyOf(table, fk.referencedColumnIds, change.old)),
        run,
      );
      if (rows.length === 0) continue;
      const writer = tableWriter(child, this.#functions);
      if (action === 'CASCADE' && isDelete) {
        await writer.delete(rows, run, this);
        continue;
      }
      const next = await this.#replacement(table, child, fk, action, wanted, run);
      const updates: RowChange[] = [];
      for (const piece of batched(rows)) {
        await breathe(run);
        for (const old of piece) {
          const row = old.slice(0, child.columns.length);
          const values = next(keyOf(child, fk.columnIds, old));
          fk.columnIds.forEach((id, i) => {
            row[tableShape(child).positionOf(id)] = values[i] as Datum;
          });
          writer.prepare(row, run);
          updates.push({ old, next: row });
        }
      }
      await writer.update(updates, run, this);
    }
  }

  /** 42501 unless the user may do to the child what the action does, 09000 beyond the session's limit of actions. */
  async #allow(child: TableDescriptor, privilege: 'UPDATE' | 'DELETE', run: Run): Promise<void> {
    const limit = Number(run.context.session.vars.get('foreign_key_cascades_limit'));
    this.#room ??= { left: limit };
    if (this.#room.left-- <= 0) {
      throw new StatementError(SqlState.TriggeredActionException, `cascades limit (${limit}) reached`, {
        hint: 'the session variable foreign_key_cascades_limit raises it',
      });
    }
    const roles = await run.context.roles();
    checkPrivilege(roles, child, 'SELECT');
    checkPrivilege(roles, child, privilege);
  }

  /** New foreign key values for a row, by its old ones. */
  async #replacement(
    table: TableDescriptor,
    child: TableDescriptor,
    fk: ForeignKeyDescriptor,
    action: ForeignKeyDescriptor['onDelete'],
    changes: Incoming['changes'],
    run: Run,
  ): Promise<(old: KeyRow) => KeyRow> {
    if (action === 'SET NULL') return () => fk.columnIds.map(() => null);
    if (action === 'SET DEFAULT') {
      const defaults: Datum[] = [];
      for (const id of fk.columnIds) defaults.push(await defaultOf(child, id, run));
      return () => defaults;
    }
    const hash = keyHash(child, fk.columnIds);
    const byOld = new Map(changes.map((change) => [hash(keyOf(table, fk.referencedColumnIds, change.old)), change.next]));
    return (old) => {
      const next = byOld.get(hash(old));
      return next ? keyOf(table, fk.referencedColumnIds, next) : old;
    };
  }

  /** The rows of a child that refer to any of the keys. */
  async #childRows(child: TableDescriptor, fk: Looked, keys: readonly KeyRow[], run: Run): Promise<Datum[][]> {
    const { plan, isIndexed } = childLookup(child, fk);
    const rows: Datum[][] = [];
    if (isIndexed || keys.length === 1) {
      for (const piece of batched(keys)) {
        await breathe(run);
        for (const key of piece) for (const row of await collect(plan(withOuterRow(run, key)))) rows.push(row);
      }
      return rows;
    }
    const hash = keyHash(child, fk.columnIds);
    const wanted = new Set(keys.map(hash));
    for await (const batch of compileNode(wholeScan(child))(run)) {
      for (const row of batch) {
        const key = keyOf(child, fk.columnIds, row);
        if (!key.includes(null) && wanted.has(hash(key))) rows.push(row);
      }
    }
    return rows;
  }

  /** NO ACTION: after all else, a key that went and did not come back has no references. */
  async #checkChildren(
    table: TableDescriptor,
    child: TableDescriptor,
    fk: ForeignKeyDescriptor,
    verb: Verb,
    action: Incoming['action'],
    changes: Incoming['changes'],
    run: Run,
  ): Promise<void> {
    const keys = changes.map((change) => keyOf(table, fk.referencedColumnIds, change.old));
    const dangling = await this.#referredInVain(table, child, fk, keys, run);
    if (dangling.length === 0) return;
    const isRestrict = (action === 'delete' ? fk.onDelete : fk.onUpdate) === 'RESTRICT';
    const deferred = isRestrict ? undefined : deferredOf(child, fk, run);
    const noted = dangling.map((key): DanglingKey => ({ key, verb, side: 'referenced' }));
    if (deferred) return deferred.note(child, fk, noted, lookWith(run));
    throw stillReferenced(table, child, fk, verb, dangling[0] as KeyRow);
  }

  /** The keys that rows of the child hold and no row of the table has. */
  async #referredInVain(
    table: TableDescriptor,
    child: TableDescriptor,
    fk: ForeignKeyDescriptor,
    keys: readonly KeyRow[],
    run: Run,
  ): Promise<KeyRow[]> {
    const children = await this.#childRows(child, fk, keys, run);
    if (children.length === 0) return [];
    const held = children.map((row) => keyOf(child, fk.columnIds, row));
    const missing = await this.#missingParents(table, fk, held, run);
    const inVain = held.filter((_, i) => missing[i]);
    const hash = keyHash(child, fk.columnIds);
    const wanted = new Set(inVain.map(hash));
    return keys.filter((key) => wanted.delete(hash(key)));
  }

  async #checkParents({ fk, table, verb, rows }: Outgoing, run: Run): Promise<void> {
    const parent = fk.referencedTableId === table.id ? table : this.#catalog.tableById(fk.referencedTableId);
    if (!parent) return;
    const keys: KeyRow[] = [];
    for (const row of rows) {
      const key = keyOf(table, fk.columnIds, row);
      if (!key.includes(null)) keys.push(key);
      else if (fk.match === 'FULL' && key.some((value) => value !== null)) {
        throw violation(table, fk, `${verb} on table "${table.name}" violates foreign key constraint "${fk.name}"`, {
          detail: 'MATCH FULL does not allow mixing of null and nonnull key values.',
        });
      }
    }
    if (keys.length === 0) return;
    const deferred = deferredOf(table, fk, run);
    const missing = await this.#missingParents(parent, fk, keys, run, deferred !== undefined);
    const at = missing.indexOf(true);
    if (at < 0) return;
    if (!deferred) throw notPresent(table, parent, fk, verb, keys[at] as KeyRow);
    const dangling = keys.filter((_, i) => missing[i]);
    deferred.note(
      table,
      fk,
      dangling.map((key) => ({ key, verb, side: 'referring' })),
      lookWith(run),
    );
  }

  /** Looks once more at references that dangled. 23503 for the first that still does. */
  async checkDangling(dangling: readonly DanglingKeys[], run: Run): Promise<void> {
    for (const { tableId, foreignKeyId, keys } of dangling) {
      const child = this.#catalog.tableById(tableId);
      const fk = child?.foreignKeys.find(({ id }) => id === foreignKeyId);
      const parent = fk && this.#catalog.tableById(fk.referencedTableId);
      if (!child || child.state === 'DROP' || !parent) continue;
      const missing = await this.#missingParents(
        parent,
        fk,
        keys.map(({ key }) => key),
        run,
      );
      const absent = keys.filter((_, i) => missing[i]);
      if (absent.length === 0) continue;
      const [key] = await this.#referredInVain(
        parent,
        child,
        fk,
        absent.map((one) => one.key),
        run,
      );
      const found = key && absent.find((one) => sameKey(child, fk, one.key, key));
      if (!found) continue;
      throw found.side === 'referring'
        ? notPresent(child, parent, fk, found.verb, found.key)
        : stillReferenced(parent, child, fk, found.verb, found.key);
    }
  }

  /** Tests stored rows against a foreign key. 23503 shows the first that fails. */
  async validate(table: TableDescriptor, fk: ForeignKeyDescriptor, rows: readonly (readonly Datum[])[], run: Run): Promise<void> {
    const parent = fk.referencedTableId === table.id ? table : this.#catalog.tableById(fk.referencedTableId);
    if (!parent) return;
    const fail = (message: string) =>
      new ConstraintError(SqlState.ForeignKeyViolation, message, { constraint: fk.name, table: table.name, relationId: table.id });
    const checked = rows.filter((row) => {
      const key = keyOf(table, fk.columnIds, row);
      if (!key.includes(null)) return true;
      if (fk.match !== 'FULL' || key.every((value) => value === null)) return false;
      const values = describeKey(table, fk.columnIds, row).replace(/^.*?=/s, '');
      throw fail(`foreign key violation: MATCH FULL does not allow mixing of null and nonnull values ${values} for ${fk.name}`);
    });
    const missing = await this.#missingParents(
      parent,
      fk,
      checked.map((row) => keyOf(table, fk.columnIds, row)),
      run,
    );
    const row = checked[missing.indexOf(true)];
    if (!row) return;
    const shown = [...new Set([...fk.columnIds, ...table.primaryIndex.columnIds])];
    throw fail(`foreign key violation: "${table.name}" row ${describeRow(table, shown, row)} has no match in "${parent.name}"`);
  }

  /** As #missingParents, where a unique constraint without an index is what is referred to. */
  async #missingWithoutIndex(parent: TableDescriptor, fk: ForeignKeyDescriptor, keys: readonly KeyRow[], run: Run): Promise<boolean[]> {
    const unique = keptByReading(parent).find(({ columnIds }) => isSameSet(columnIds, fk.referencedColumnIds));
    if (!unique) return keys.map(() => true);
    const looked = { id: unique.id, columnIds: fk.referencedColumnIds };
    const hash = keyHash(parent, fk.referencedColumnIds);
    const rows = await this.#childRows(parent, looked, keys, run);
    const present = new Set(rows.map((row) => hash(keyOf(parent, fk.referencedColumnIds, row))));
    return keys.map((key) => !present.has(hash(key)));
  }

  /** For each key, whether no row of the referenced table has it. */
  async #missingParents(
    parent: TableDescriptor,
    fk: ForeignKeyDescriptor,
    keys: readonly KeyRow[],
    run: Run,
    mayComeLater = false,
  ): Promise<boolean[]> {
    const index = allIndexes(parent).find(
      (candidate) =>
        candidate.unique &&
        !candidate.regional &&
        candidate.state === 'public' &&
        candidate.predicate === undefined &&
        givenKeyColumnIds(candidate).length === fk.referencedColumnIds.length &&
        givenKeyColumnIds(candidate).every((id) => fk.referencedColumnIds.includes(id)),
    );
    if (!index) return this.#missingWithoutIndex(parent, fk, keys, run);
    const codec = tableCodec(parent);
    const row: Datum[] = parent.columns.map(() => null);
    const points: Bytes[] = keys.map((key) => {
      fk.referencedColumnIds.forEach((id, i) => {
        row[tableShape(parent).positionOf(id)] = key[i] as Datum;
      });
      if (index.sharded) fillBucket(parent, index, row, tableShape(parent).positionOf);
      return index.id === parent.primaryIndex.id ? codec.rowKey(row) : (codec.uniqueSpan(index, row)?.key as Bytes);
    });
    let distinct = [...new Set(points)];
    // What others may yet add is neither kept from them nor held against them.
    if (mayComeLater) {
      const values = await run.reader.get(distinct);
      distinct = distinct.filter((_, i) => values[i] !== undefined);
    }
    // At the weaker levels nobody may take the parents away before this commits; serializable validates.
    if (run.txn && run.txn.isolation !== 'serializable') await run.txn.lock(distinct, { strength: 'shared', signal: run.signal });
    const values = await run.reader.get(distinct, { validated: true });
    const present = new Set(distinct.filter((_, i) => values[i] !== undefined));
    return points.map((point) => !present.has(point));
  }
}

/** Looks at dangling keys later, as the transaction then is. */
function lookWith(run: Run): (dangling: readonly DanglingKeys[]) => Promise<void> {
  return async (dangling) => (await constraintQueue(run.context)).checkDangling(dangling, run);
}

const isCheckedOnly = (action: ForeignKeyDescriptor['onDelete']): boolean => action === 'NO ACTION' || action === 'RESTRICT';

/** The changes that took away a key without NULLs. */
function goneKeys(table: TableDescriptor, rows: readonly GoneRow[], fk: ForeignKeyDescriptor): GoneRow[] {
  return rows.filter(
    ({ old, next }) =>
      !keyOf(table, fk.referencedColumnIds, old).includes(null) && (next === undefined || differ(table, fk.referencedColumnIds, old, next)),
  );
}

function sameKey(table: TableDescriptor, fk: ForeignKeyDescriptor, a: KeyRow, b: KeyRow): boolean {
  const hash = keyHash(table, fk.columnIds);
  return hash(a) === hash(b);
}

/** Columns whose values are looked for; the id tells them from others of the table. */
type Looked = Pick<ForeignKeyDescriptor, 'id' | 'columnIds'>;

const isSameSet = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id) => b.includes(id));

interface ChildLookup {
  /** Rows for the key in the outer row. */
  readonly plan: Operator;
  readonly isIndexed: boolean;
}
const lookups = new WeakMap<TableDescriptor, Map<number, ChildLookup>>();

/** Finds rows by a foreign key's columns, through an index when there is one. */
function childLookup(child: TableDescriptor, fk: Looked): ChildLookup {
  let ofTable = lookups.get(child);
  if (!ofTable) {
    ofTable = new Map();
    lookups.set(child, ofTable);
  }
  let known = ofTable.get(fk.id);
  if (!known) {
    const shape = tableShape(child);
    const conditions = fk.columnIds.map((id, i): TypedExpr => {
      const index = shape.positionOf(id);
      const { type, name } = shape.columns[index] as PlanNode['columns'][number];
      const left: TypedExpr = { kind: 'column', type, index, name };
      const right: TypedExpr = { kind: 'outer', type, depth: 1, index: i, name };
      return { kind: 'comparison', type: Type.Bool, op: '=', left, right };
    });
    const node = optimize(filterOf(wholeScan(child), conditions));
    const isIndexed = !(node.kind === 'filter' && node.input.kind === 'scan' && node.input.constraint === undefined);
    known = { plan: compileNode(node), isIndexed };
    ofTable.set(fk.id, known);
  }
  return known;
}

/** Tests every row of a table against a foreign key, for ADD CONSTRAINT and VALIDATE. 23503 shows the first that fails. */
export async function validateForeignKey(
  table: TableDescriptor,
  fk: ForeignKeyDescriptor,
  queue: ConstraintQueue,
  run: Run,
): Promise<void> {
  for await (const rows of compileNode(wholeScan(table))(run)) await queue.validate(table, fk, rows, run);
}
