/**
 * The context of one run of one statement: what hooks, plans and expressions see.
 */
import { type Bytes, utf8Decode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { parseUuid } from '../../catalog/datumText.ts';
import type { NameContext } from '../../catalog/catalog.ts';
import { CatalogSnapshot, unreadableContent } from '../../catalog/snapshot.ts';
import { HistoryGoneError } from '../../gc/thresholds.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { Privilege, TableDescriptor } from '../../catalog/descriptor.ts';
import { checkPrivilege, hasPrivilege, isAdmin } from '../../catalog/privileges.ts';
import { advanceCounter } from '../../catalog/sequences.ts';
import { type ColumnType, familyName, Type } from '../../catalog/type.ts';
import { rolesOf } from '../../catalog/users.ts';
import type { KvReader, Txn } from '../../kv/kv.ts';
import { analyzeExpr, coerceTo } from '../expr/analyze.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import type { EvalContext, SequenceOperations, SequenceRef, SessionValues } from '../expr/evalContext.ts';
import { Placeholders } from '../expr/placeholders.ts';
import type { Expr } from '../parse/ast.ts';
import { backendsOf } from './sessionControl.ts';
import type { DeferredKeys } from './deferredKeys.ts';
import { resolveAsOf } from './asOf.ts';
import { SnapshotLookup, splitName } from './catalogLookup.ts';
import { runCorrelated } from './executor.ts';
import { answer } from './privilegeQuestions.ts';
import { regionOperations } from './regionOperations.ts';
import type { Run } from './run.ts';
import type { EngineServices, Notice, SessionState, StatementContext } from './statement.ts';
import type { SessionTransaction } from './transaction.ts';

export interface ContextOptions {
  readonly session: SessionState;
  readonly transaction: SessionTransaction;
  readonly statementTimestamp: Timestamp;
  readonly signal: AbortSignal;
  readonly placeholders: readonly Datum[];
  readonly placeholderTypes: readonly ColumnType[];
}

export class RunContext implements StatementContext {
  readonly engine: EngineServices;
  readonly session: SessionState;
  readonly transaction: SessionTransaction;
  readonly statementTimestamp: Timestamp;
  readonly signal: AbortSignal;
  readonly placeholders: readonly Datum[];
  readonly placeholderTypes: readonly ColumnType[];
  readonly notices: Notice[] = [];
  /** The snapshot once it was asked for; synchronous users come after `catalog()`. */
  #snapshot: CatalogSnapshot | undefined;

  constructor(options: ContextOptions) {
    this.session = options.session;
    this.engine = options.session.engine;
    this.transaction = options.transaction;
    this.statementTimestamp = options.statementTimestamp;
    this.signal = options.signal;
    this.placeholders = options.placeholders;
    this.placeholderTypes = options.placeholderTypes;
  }

  get user(): string {
    return this.session.user;
  }
  get txn(): Txn {
    return this.transaction.txn;
  }
  get deferred(): DeferredKeys {
    return this.transaction.deferred;
  }
  get reader(): KvReader {
    return this.transaction.reader;
  }
  get inExplicitTransaction(): boolean {
    return !this.transaction.isImplicit;
  }
  get names(): NameContext {
    return this.session.names;
  }

  /** Every name the user goes by: itself and its roles. Admins need no look-up. */
  async roles(): Promise<ReadonlySet<string>> {
    this.#roles ??= isAdmin(this.user) ? new Set([this.user]) : await rolesOf(this.reader, this.user);
    return this.#roles;
  }
  #roles: ReadonlySet<string> | undefined;

  async catalog(): Promise<CatalogSnapshot> {
    const { catalog } = this.engine;
    try {
      this.#snapshot = catalog.withAttached(
        catalog.snapshotNow(this.reader) ?? catalog.withPasts(await catalog.snapshot(this.reader), this.reader),
      );
    } catch (error) {
      // The schemas of that time cannot be known. A statement that names nothing stored runs all the same.
      if (!(error instanceof HistoryGoneError)) throw error;
      const unreadable = new CatalogSnapshot(unreadableContent(error), this.reader.readTimestamp);
      this.#snapshot = catalog.withAttached(catalog.withPasts(unreadable, this.reader));
    }
    return this.#snapshot;
  }

  /** As catalog(), when nothing has to be waited for. */
  catalogNow(): CatalogSnapshot | undefined {
    const { catalog } = this.engine;
    const stored = catalog.snapshotNow(this.reader);
    if (!stored) return undefined;
    this.#snapshot = catalog.withAttached(stored);
    return this.#snapshot;
  }

  /** The snapshot, if anything has asked for it. */
  get knownSnapshot(): CatalogSnapshot | undefined {
    return this.#snapshot;
  }

  /** The snapshot of the last catalog() call. */
  snapshotNow(): CatalogSnapshot {
    const snapshot = this.#snapshot ?? this.catalogNow();
    if (!snapshot) throw new StatementError(SqlState.InternalError, 'internal error: the catalog was asked for before it was read');
    this.#snapshot = snapshot;
    return snapshot;
  }

  notice(message: string, fields: Partial<Omit<Notice, 'message'>> = {}): void {
    this.notices.push({ severity: 'NOTICE', code: SqlState.SuccessfulCompletion, ...fields, message });
  }

  /** A run over this context: everything operators need. With `counts`, what each node does is counted there. */
  newRun(slotCount: number, cteCount: number, counts?: Run['counts']): Run {
    const slots: Datum[] = new Array(slotCount).fill(null);
    const run: Run = {
      context: this,
      reader: this.reader,
      txn: this.transaction.kvTxn,
      signal: this.signal,
      ctes: new Array(cteCount),
      slots,
      affected: 0,
      ...(counts && { counts }),
      eval: this.evalContext(slots, (plan, row, ctx) => runCorrelated(run, plan, row, ctx)),
    };
    return run;
  }

  evalContext(slots: readonly Datum[], runSubquery: EvalContext['runSubquery']): EvalContext {
    const { engine, session, transaction } = this;
    const context = this;
    const { kv } = engine;
    let lookup: SnapshotLookup | undefined;
    const asLookup = (): SnapshotLookup => {
      lookup ??= new SnapshotLookup(this.snapshotNow(), this.names, engine.virtualTables);
      return lookup;
    };
    return {
      transactionTimestamp: transaction.startTimestamp,
      statementTimestamp: this.statementTimestamp,
      logicalTimestamp: transaction.reader.readTimestamp,
      clock: kv.clock,
      signal: this.signal,
      session: session.values,
      random: () => engine.random.float(),
      uniqueRowId: () => kv.ids.int8(),
      uuid: () => parseUuid(kv.ids.uuid()),
      nodeId: session.nodeId,
      clusterId: kv.clusterId,
      version: `Varve ${engine.version}`,
      placeholders: this.placeholders,
      slots,
      outerRows: [],
      sequences: new ContextSequences(this),
      get advisoryLocks() {
        return session.advisoryLocks.during(context);
      },
      get backends() {
        return backendsOf(context);
      },
      catalog: new LazyLookup(asLookup),
      get regions() {
        return regionOperations(context, () => context.snapshotNow());
      },
      runSubquery,
      hasPrivilege: (question) => answer(this, question),
      notice: (message) => this.notice(message),
    };
  }

  async evalDatum(expr: Expr, desired?: ColumnType): Promise<{ type: ColumnType; value: Datum }> {
    await this.catalog();
    const typed = analyzeExpr(
      expr,
      {
        scope: undefined,
        functions: this.engine.functions,
        placeholders: new Placeholders(this.placeholderTypes),
        subqueries: undefined,
        clause: 'a constant expression',
        allowAggregates: false,
        allowGenerators: false,
        session: this.session.values,
      },
      desired,
    );
    const value = await compileAsync(typed)([], this.newRun(0, 0).eval);
    return { type: typed.type, value };
  }

  async evalString(expr: Expr): Promise<string | undefined> {
    // A bare word is a string where an option value is meant.
    if (expr.kind === 'column' && expr.parts.length === 1) return expr.parts[0]?.text;
    const { type, value } = await this.evalDatum(expr, Type.String);
    if (value === null) return undefined;
    if (type.family !== 'string') {
      throw new StatementError(SqlState.DatatypeMismatch, `expected a string, got a value of type ${familyName(type)}`);
    }
    return utf8Decode(value as Bytes);
  }

  async evalInt(expr: Expr): Promise<number | undefined> {
    return this.#evalAs(expr, Type.Int8, (value) => Number(value));
  }

  async evalBool(expr: Expr): Promise<boolean | undefined> {
    if (expr.kind === 'column' && expr.parts.length === 1) {
      const word = expr.parts[0]?.text;
      if (word === 'on') return true;
      if (word === 'off') return false;
    }
    return this.#evalAs(expr, Type.Bool, (value) => value === true);
  }

  async #evalAs<T>(expr: Expr, wanted: ColumnType, convert: (value: Datum) => T): Promise<T | undefined> {
    const { type, value } = await this.evalDatum(expr, wanted);
    if (value === null) return undefined;
    if (type.family === wanted.family) return convert(value);
    const cast = coerceTo({ kind: 'const', type, value }, wanted, 'option');
    return convert(await compileAsync(cast)([], this.newRun(0, 0).eval));
  }

  resolveAsOf(expr: Expr): Promise<Timestamp> {
    return resolveAsOf(expr, {
      statementTimestamp: this.statementTimestamp,
      reading: this.engine.kv.reading(),
      evaluate: (constant) => this.evalDatum(constant),
    });
  }
}

/** Looks the catalog up only when something asks. */
class LazyLookup {
  readonly #get: () => SnapshotLookup;
  constructor(get: () => SnapshotLookup) {
    this.#get = get;
  }
  relationOid(name: string) {
    return this.#get().relationOid(name);
  }
  relationName(oid: number) {
    return this.#get().relationName(oid);
  }
  schemaOid(name: string) {
    return this.#get().schemaOid(name);
  }
  schemaName(oid: number) {
    return this.#get().schemaName(oid);
  }
  isRelationVisible(oid: number) {
    return this.#get().isRelationVisible(oid);
  }
  indexDefinition(oid: number, column: number) {
    return this.#get().indexDefinition(oid, column);
  }
  constraintDefinition(oid: number) {
    return this.#get().constraintDefinition(oid);
  }
  userType(oid: number) {
    return this.#get().userType(oid);
  }
  userTypeNamed(name: string) {
    return this.#get().userTypeNamed(name);
  }
  viewDefinition(oid: number) {
    return this.#get().viewDefinition(oid);
  }
  userFunction(oid: number) {
    return this.#get().userFunction(oid);
  }
  serialSequence(table: string, column: string) {
    return this.#get().serialSequence(table, column);
  }
  comment(oid: number, sub: number) {
    return this.#get().comment(oid, sub);
  }
  databaseOid(name: string) {
    return this.#get().databaseOid(name);
  }
  userName(oid: number) {
    return this.#get().userName(oid);
  }
  schemaNames() {
    return this.#get().schemaNames();
  }
}

/** nextval and its kin for one statement. */
class ContextSequences implements SequenceOperations {
  readonly #context: RunContext;

  constructor(context: RunContext) {
    this.#context = context;
  }

  async #resolve(ref: SequenceRef): Promise<TableDescriptor> {
    const snapshot = await this.#context.catalog();
    const descriptor =
      'id' in ref ? snapshot.tableById(ref.id) : snapshot.requireTable(splitName(ref.name), this.#context.names).descriptor;
    if (!descriptor)
      throw new StatementError(SqlState.UndefinedTable, `relation ${'id' in ref ? `[${ref.id}]` : `"${ref.name}"`} does not exist`);
    if (!descriptor.sequence) {
      throw new StatementError(SqlState.WrongObjectType, `"${snapshot.fullName(descriptor).join('.')}" is not a sequence`);
    }
    return descriptor;
  }

  /** The sequence, when the user holds one of the privileges; 42501 names the last. */
  async #allowed(ref: SequenceRef, ...privileges: readonly Privilege[]): Promise<TableDescriptor> {
    const descriptor = await this.#resolve(ref);
    const roles = await this.#context.roles();
    if (!privileges.some((privilege) => hasPrivilege(roles, descriptor.privileges, privilege))) {
      checkPrivilege(roles, descriptor, privileges.at(-1) ?? 'UPDATE');
    }
    return descriptor;
  }

  async nextval(ref: SequenceRef): Promise<number | bigint> {
    const descriptor = await this.#allowed(ref, 'USAGE', 'UPDATE');
    const { engine, session, transaction } = this.#context;
    transaction.checkWritable('nextval()');
    // A sequence that this transaction made is not there for others yet: it counts inside.
    const value = descriptor.sequence?.isVirtual
      ? engine.kv.ids.int8()
      : descriptor.modificationTime === 0
        ? await advanceCounter(transaction.txn, descriptor.id, Number(descriptor.sequence?.increment ?? 1))
        : await engine.sequences.nextval(descriptor);
    session.noteSequence(descriptor.id, value);
    return value;
  }

  async currval(ref: SequenceRef): Promise<number | bigint> {
    const descriptor = await this.#allowed(ref, 'USAGE', 'SELECT');
    const value = this.#context.session.sequenceValue(descriptor.id);
    if (value === undefined) {
      throw new StatementError(
        SqlState.ObjectNotInPrerequisiteState,
        `currval(): currval of sequence "${this.#context.snapshotNow().fullName(descriptor).join('.')}" is not yet defined in this session`,
      );
    }
    return value;
  }

  async setval(ref: SequenceRef, value: number | bigint, isCalled: boolean): Promise<void> {
    const descriptor = await this.#allowed(ref, 'UPDATE');
    const { engine, session, transaction } = this.#context;
    transaction.checkWritable('setval()');
    // As in nextval().
    await engine.sequences.setval(descriptor, value, isCalled, descriptor.modificationTime === 0 ? transaction.txn : undefined);
    if (isCalled) session.noteSequence(descriptor.id, value);
  }

  async lastval(): Promise<number | bigint> {
    const value = this.#context.session.lastSequenceValue();
    if (value === undefined)
      throw new StatementError(SqlState.ObjectNotInPrerequisiteState, 'lastval(): lastval is not yet defined in this session');
    return value;
  }
}

export type { SessionValues };
