/**
 * Schedules: the part of a database that runs backups on time: the executor, and the statements about schedules.
 *
 * Opened on a manual clock, it does by `clock.advance()` what a year would bring, one due time after another.
 */
import type { MetricRegistry } from '../base/metrics.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { systemTable } from '../catalog/systemRows.ts';
import type { ProtectionReconciler } from '../jobs/protectionReconciler.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { AlterBackupSchedule, ControlSchedules, CreateSchedule, Expr, ShowCreateSchedules, ShowSchedules } from '../sql/parse/ast.ts';
import type { ColumnType } from '../catalog/type.ts';
import { Type } from '../catalog/type.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import type { PlanScheduledBackup, ScheduledSuccess } from '../backup/scheduledBackup.ts';

import { alterSchedule } from './alterSchedule.ts';
import { controlSchedules } from './controlSchedules.ts';
import { createSchedule, SCHEDULE_COLUMNS } from './createSchedule.ts';
import { presentTime } from './due.ts';
import { ScheduleExecutor } from './executor.ts';
import { healthOf, registerRpoTable, type ScheduleHealth } from './rpo.ts';
import { isPaused, listSchedules, readSchedule, writeSchedule } from './schedule.ts';
import { ScheduleMetrics } from './scheduleMetrics.ts';
import { SHOW_CREATE_COLUMNS, showColumns, showCreateSchedules, showSchedules } from './showSchedules.ts';
import { noteSuccess } from './success.ts';
import { keepUp } from './upkeep.ts';

export interface SchedulesDeps {
  readonly kv: Kv;
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: ClusterSettings;
  readonly protections: ProtectedRecords;
  readonly reconciler: ProtectionReconciler;
  readonly planBackup: PlanScheduledBackup;
  readonly metrics?: MetricRegistry;
}

export class Schedules {
  readonly executor: ScheduleExecutor;
  readonly metrics: ScheduleMetrics;
  readonly #deps: SchedulesDeps;

  constructor(deps: SchedulesDeps) {
    this.#deps = deps;
    this.metrics = new ScheduleMetrics(deps.metrics);
    this.executor = new ScheduleExecutor({
      ...deps,
      metrics: this.metrics,
      afterSuccess: (schedule, details) => keepUp(deps, schedule, details),
    });
    this.#registerStatements();
    const runningSince = (id: number) => this.executor.runningSince(id);
    registerRpoTable(deps.engine.virtualTables, () => this.#clockTime(), runningSince);
    deps.reconciler.addOwnerCheck('schedules', async (txn, id) => (await readSchedule(txn, Number(id))) !== undefined);
    if (deps.metrics) this.#registerGauges(deps.metrics);
  }

  /** After the job registry has started. `pauseAll`: the schedules of a fork are its parent's, until somebody resumes them. */
  async start(options: { readonly pauseAll?: boolean } = {}): Promise<void> {
    if (options.pauseAll) await this.#pauseAll();
    await this.executor.start();
  }

  close(): void {
    this.executor.close();
  }

  /** For the transaction that ends a scheduled backup's job. */
  onSuccess(txn: Txn, success: ScheduledSuccess): Promise<void> {
    const { kv, protections } = this.#deps;
    return noteSuccess({ clusterId: kv.clusterId, ids: kv.ids, protections, now: () => presentTime(kv) }, txn, success);
  }

  /** How every schedule stands now. */
  async health(): Promise<ScheduleHealth[]> {
    const { kv } = this.#deps;
    const all = await listSchedules(kv.at(kv.reading()));
    return healthOf(all, all, this.#clockTime(), (id) => this.executor.runningSince(id));
  }

  #clockTime(): Timestamp {
    return timestamp(Math.floor(this.#deps.kv.clock.nowMicros()));
  }

  async #pauseAll(): Promise<void> {
    const { kv } = this.#deps;
    if ((await systemTable('scheduled_jobs').scan(kv.at(kv.reading()))).length === 0) return;
    await kv.run(async (txn) => {
      for (const schedule of await listSchedules(txn)) {
        if (isPaused(schedule)) continue;
        await writeSchedule(txn, { ...schedule, nextRun: undefined, state: { ...schedule.state, status: 'the database was forked' } });
      }
    });
  }

  #registerStatements(): void {
    const deps = this.#deps;
    const { statements } = deps.engine;
    statements.register<CreateSchedule>('createSchedule', {
      columns: () => SCHEDULE_COLUMNS,
      run: (context, stmt) => createSchedule(deps, context, stmt),
      // The backup is planned outside of the transaction, and sees what is committed.
      runsOnce: true,
    });
    statements.register<AlterBackupSchedule>('alterBackupSchedule', {
      columns: () => SCHEDULE_COLUMNS,
      placeholderTypes: ({ schedule }) => idType(schedule),
      run: (context, stmt) => {
        const isRunning = (id: number) => this.executor.runningSince(id) !== undefined;
        return alterSchedule({ ...deps, isRunning }, context, stmt);
      },
      runsOnce: true,
    });
    statements.register<ShowSchedules>('showSchedules', {
      columns: showColumns,
      placeholderTypes: ({ schedule }) => idType(schedule),
      run: (context, stmt) => showSchedules(deps, context, stmt),
      isReadOnly: true,
    });
    statements.register<ShowCreateSchedules>('showCreateSchedules', {
      columns: () => SHOW_CREATE_COLUMNS,
      placeholderTypes: ({ schedule }) => idType(schedule),
      run: (context, stmt) => showCreateSchedules(deps, context, stmt),
      isReadOnly: true,
    });
    statements.register<ControlSchedules>('controlSchedules', {
      columns: () => undefined,
      placeholderTypes: ({ schedules }) => idType(schedules.type === 'id' ? schedules.id : undefined),
      queryWithin: ({ schedules }) => (schedules.type === 'select' ? schedules.query : undefined),
      run: (context, stmt) => controlSchedules(deps, context, stmt),
    });
  }

  #registerGauges(registry: MetricRegistry): void {
    const { kv } = this.#deps;
    const held = () => kv.gc.protections.list().filter(({ metaType }) => metaType === 'schedules');
    const labelled = (status: string) => ({ name: 'schedules', labels: { name: 'BACKUP', status } });
    registry.gauge(
      {
        name: 'schedules.BACKUP.protected_age_sec',
        help: 'age of the oldest protected timestamp record held by BACKUP schedules, in seconds',
        labelled: labelled('protected_age_sec'),
      },
      () => {
        const [oldest] = held();
        return oldest === undefined ? 0 : Math.max(0, Math.floor((presentTime(kv) - oldest.ts) / MICROS_PER_SECOND));
      },
    );
    registry.gauge(
      {
        name: 'schedules.BACKUP.protected_record_count',
        help: 'number of protected timestamp records held by BACKUP schedules',
        labelled: labelled('protected_record_count'),
      },
      () => held().length,
    );
    registry.addSource(async () => {
      const health = await this.health();
      const gauge = (status: string, help: string, value: number) => ({
        type: 'gauge' as const,
        name: `schedules.BACKUP.${status}`,
        help,
        labelled: labelled(status),
        value,
      });
      return [
        gauge('paused', 'number of BACKUP schedules that are paused', health.filter((one) => one.isPaused).length),
        gauge(
          'stuck',
          'number of BACKUP schedules whose backup goes on, or is late, for too long',
          health.filter((one) => one.isStuck).length,
        ),
        gauge(
          'rpo_sec',
          'seconds since the newest restorable time of the BACKUP schedule that is furthest behind',
          Math.max(0, ...health.map((one) => one.rpoSeconds)),
        ),
      ];
    });
  }
}

/** INT8 for a placeholder that stands for an id. */
function idType(id: Expr | undefined): (ColumnType | undefined)[] {
  const types: (ColumnType | undefined)[] = [];
  if (id?.kind === 'placeholder') types[id.index - 1] = Type.Int8;
  return types;
}
