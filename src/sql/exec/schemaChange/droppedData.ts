/**
 * SCHEMA CHANGE GC: the job that follows what a DROP or TRUNCATE has left behind until it is gone.
 *
 * GC clears dropped tables and indexes once their TTL has passed and no protection holds them
 * (collectDropped, after each run); the job is there for people: what waits, for how long, for whom.
 * It looks again after each run, so a shorter TTL or a released protection ends it sooner. It cannot
 * be canceled; pausing it does not keep the data.
 */
import { StateError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../../../base/timestamp.ts';
import type { CatalogSnapshot } from '../../../catalog/catalog.ts';
import { allIndexes, MAX_SYSTEM_ID, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { indexPrefix } from '../../../base/keycode.ts';
import { prefixSpan } from '../../../base/span.ts';
import type { JobContext, Json, Resumer } from '../../../jobs/job.ts';
import type { JobRegistry } from '../../../jobs/registry.ts';
import type { Kv } from '../../../kv/kv.ts';
import type { ObjectName, Statement } from '../../parse/ast.ts';
import { printStatement } from '../../parse/printer.ts';
import type { RunContext } from '../context.ts';
import type { EngineServices } from '../statement.ts';
import type { DroppedData, DroppedDataService } from './droppedDataService.ts';

export const SCHEMA_CHANGE_GC_JOB_TYPE = 'SCHEMA CHANGE GC';

interface Details extends DroppedData {
  readonly [member: string]: Json;
  readonly tableIds: number[];
  readonly indexes: { tableId: number; indexId: number }[];
}

/** The engine while its parts are put together. */
type RegisteringEngine = Omit<EngineServices, 'droppedData'> & { droppedData: DroppedDataService | undefined };

/** Before the registry starts, and after what clears dropped data was registered with GC. */
export function registerDroppedData(engine: RegisteringEngine, jobs: JobRegistry): void {
  const waiters = new Set<() => void>();
  engine.kv.gc.addAfterRun(() => {
    for (const wake of [...waiters]) wake();
  });
  jobs.register(
    SCHEMA_CHANGE_GC_JOB_TYPE,
    { isCancelable: false },
    (details) => new DroppedDataResumer(engine, waiters, details as Details),
  );
  engine.droppedData = {
    create: async (txn, { tableIds, indexes }, description, user) => {
      const details: Details = { tableIds: [...tableIds], indexes: indexes.map(({ tableId, indexId }) => ({ tableId, indexId })) };
      await jobs.create(txn, { type: SCHEMA_CHANGE_GC_JOB_TYPE, description: `GC for ${description}`, user, details });
    },
  };
}

/** Statements that can drop data; others are not looked at. */
const DROPPING: ReadonlySet<Statement['kind']> = new Set([
  'dropTable', 'dropView', 'dropSequence', 'dropSchema', 'dropDatabase', 'dropIndex', 'truncate', 'alterTable',
]); // biome-ignore format: two lines

/** Runs a schema change, and gives what it dropped a job. */
export async function followingDropped(context: RunContext, stmt: Statement, run: () => Promise<unknown>): Promise<void> {
  const service = context.engine.droppedData;
  if (!service || !DROPPING.has(stmt.kind)) {
    await run();
    return;
  }
  const before = await context.catalog();
  await run();
  const dropped = droppedBetween(before, await context.catalog());
  if (dropped.tableIds.length + dropped.indexes.length > 0)
    await service.create(context.txn, dropped, printStatement(withFullNames(stmt, before, context)), context.user);
}

/** `DROP TABLE db.public.t`: readable in a list of jobs, whoever's current database it was. */
function withFullNames(stmt: Statement, snapshot: CatalogSnapshot, context: RunContext): Statement {
  const full = (name: ObjectName): ObjectName => {
    const found = snapshot.resolveTable(
      name.parts.map((part) => part.text),
      context.names,
    );
    return found ? { ...name, parts: snapshot.fullName(found.descriptor).map((text) => ({ text, pos: 0 })) } : name;
  };
  switch (stmt.kind) {
    case 'dropTable':
    case 'dropView':
    case 'dropSequence':
      return { ...stmt, names: stmt.names.map(full) };
    case 'truncate':
      return { ...stmt, tables: stmt.tables.map(full) };
    default:
      return stmt;
  }
}

/** Tables that came to state DROP, and indexes that tables have lost. */
function droppedBetween(before: CatalogSnapshot, after: CatalogSnapshot): DroppedData {
  const tableIds: number[] = [];
  const indexes: { tableId: number; indexId: number }[] = [];
  for (const old of before.all()) {
    if (old.kind !== 'table' || old.id <= MAX_SYSTEM_ID || old.view || old.state === 'DROP') continue;
    const now = after.byId(old.id);
    if (now === old) continue;
    if (now?.kind !== 'table' || now.state === 'DROP') tableIds.push(old.id);
    else indexes.push(...lostIndexes(old, now));
  }
  return { tableIds, indexes };
}

function lostIndexes(before: TableDescriptor, after: TableDescriptor): { tableId: number; indexId: number }[] {
  const kept = new Set(allIndexes(after).map((index) => index.id));
  return allIndexes(before).flatMap((index) => (kept.has(index.id) ? [] : [{ tableId: before.id, indexId: index.id }]));
}

class DroppedDataResumer implements Resumer {
  readonly #engine: EngineServices;
  readonly #waiters: Set<() => void>;
  readonly #details: Details;

  constructor(engine: EngineServices, waiters: Set<() => void>, details: Details) {
    this.#engine = engine;
    this.#waiters = waiters;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<undefined> {
    let said: string | undefined;
    for (;;) {
      // Waiting begins before the look, so that no run of GC falls between the two.
      const ran = this.#nextRun(ctx);
      const status = await this.#status(ctx.kv);
      if (status === undefined) {
        ran.stop();
        return;
      }
      if (status !== said) await ctx.checkpoint({ runningStatus: status });
      said = status;
      ctx.markIdle(true);
      await ctx.kv.activity.suspend(ran.promise);
      ctx.markIdle(false);
    }
  }

  async onFailOrCancel(): Promise<undefined> {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'dropped data cannot be brought back');
  }

  /** What it waits for; undefined when everything is gone. */
  async #status(kv: Kv): Promise<string | undefined> {
    const snapshot = await this.#engine.catalog.current();
    const held: { tableId: number; indexId?: number }[] = this.#details.tableIds
      .filter((id) => snapshot.byId(id) !== undefined)
      .map((tableId) => ({ tableId }));
    for (const index of this.#details.indexes) {
      if (kv.rangesOf(prefixSpan(indexPrefix(index.tableId, index.indexId))).length > 0) held.push(index);
    }
    const [first] = held;
    if (first === undefined) return undefined;
    let last: Timestamp | undefined;
    for (const { tableId: id, indexId } of held) {
      const { oldestProtection, reason } = kv.gc.thresholds.explain(id, indexId);
      if (reason === 'protection' && oldestProtection)
        return `waiting for protected timestamp ${oldestProtection.id} (${owner(oldestProtection)})`;
      const descriptor = snapshot.byId(id);
      const free = descriptor && kv.gc.thresholds.unreadableAt(id, descriptor.modificationTime, indexId);
      if (free !== undefined && (last === undefined || free > last)) last = free;
    }
    return last === undefined ? 'waiting for GC TTL' : `waiting for GC TTL, until ${formatUtc(last)}`;
  }

  #nextRun(ctx: JobContext): { promise: Promise<void>; stop: () => void } {
    const { signal } = ctx;
    signal.throwIfAborted();
    let stop = () => {};
    const promise = new Promise<void>((resolve, reject) => {
      const wake = () => {
        stop();
        resolve();
      };
      const onAbort = () => {
        stop();
        reject(signal.reason);
      };
      stop = () => {
        this.#waiters.delete(wake);
        signal.removeEventListener('abort', onAbort);
      };
      this.#waiters.add(wake);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    // What fails between here and its await must not be unhandled.
    promise.catch(() => {});
    return { promise, stop };
  }
}

/** `job 5`, `schedule 5`, `user root`. */
function owner(record: { readonly metaType: string; readonly meta: string }): string {
  return `${record.metaType.replace(/s$/, '')} ${record.meta}`;
}
