/**
 * GC explains itself: why each table's history reaches back as far as it does, who holds it, what
 * that costs, and until when each known chain of backups can be continued.
 *
 *   varve_internal.gc_status      a row a table, and one an index with a TTL of its own (of which the table's row then tells nothing)
 *   varve_internal.backup_chains  a row a chain whose jobs are retained
 *
 * A table's bytes that protections pin are those that GC would take now if its records were released.
 * For admins: the rows name every object. Cost: the versions of tables that a protection holds back.
 */
import { utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Datum } from '../catalog/datum.ts';
import { Interval } from '../catalog/interval.ts';
import { isAdmin } from '../catalog/privileges.ts';
import { timestampToDecimal } from '../catalog/protectedRecords.ts';
import { indexById } from '../catalog/descriptor.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { systemTable } from '../catalog/systemRows.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import { type KnownChain, knownChains } from '../backup/knownChains.ts';
import type { GcExplanation } from '../gc/gcController.ts';
import { REST_OF_TABLE } from '../gc/thresholds.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { VirtualTableContext } from '../sql/plan/virtualTable.ts';

/** A chain and how long it can go on. */
export interface ChainOutlook extends KnownChain {
  /** From this time on its next incremental is refused. Undefined: a protection holds its start, or no table of it is left. Not after now: lost already. */
  readonly lostAt: Timestamp | undefined;
  /** The table whose threshold reaches the chain's end first. */
  readonly limitingTableId: number | undefined;
  /** True when only protections keep it from being lost; without a table left nothing has to. */
  readonly isHeld: boolean;
}

/** What db.explainGc() gives. */
export interface TableGcExplanation extends GcExplanation {
  /** The known chains that the table is in. */
  readonly chains: readonly ChainOutlook[];
}

/**
 * Every known chain with its outlook. What was dropped since its end counts only where a layer tells
 * of its past, with revision_history. There the outlook may be too early: a layer may leave out what
 * TRUNCATE has replaced since.
 */
export async function chainOutlooks(kv: Kv, jobs: JobRegistry, catalog: Catalog): Promise<ChainOutlook[]> {
  const { thresholds } = kv.gc;
  const snapshot = await catalog.current();
  const outlooks: ChainOutlook[] = [];
  for (const chain of knownChains(await jobs.list())) {
    let lostAt: Timestamp | undefined;
    let limitingTableId: number | undefined;
    let isHeld = false;
    const limit = (tableId: number, indexId?: number): void => {
      const at = snapshot.byId(tableId) ? thresholds.unreadableAt(tableId, chain.endTime, indexId) : chain.endTime;
      if (at === undefined) isHeld = true;
      else if (lostAt === undefined || at < lostAt) [lostAt, limitingTableId] = [at, tableId];
    };
    for (const tableId of chain.tableIds) if (snapshot.byId(tableId)?.state === 'PUBLIC') limit(tableId);
    for (const { tableId, indexId } of chain.revisionHistory ? await droppedSince(kv, catalog, snapshot, chain) : [])
      limit(tableId, indexId);
    outlooks.push({ ...chain, lostAt, limitingTableId, isHeld: lostAt === undefined && isHeld });
  }
  return outlooks;
}

/** Tables of the chain that were dropped after its end, and indexes dropped since that had a TTL of their own. */
async function droppedSince(
  kv: Kv,
  catalog: Catalog,
  now: CatalogSnapshot,
  chain: KnownChain,
): Promise<{ tableId: number; indexId?: number }[]> {
  const { thresholds } = kv.gc;
  const isWhole = (id: number) => now.byId(id)?.state === 'PUBLIC' && thresholds.droppedApart(id).length === 0;
  const changed = chain.tableIds.filter((id) => !isWhole(id));
  if (changed.length === 0 || !thresholds.isReadable(systemTable('descriptor').desc.id, chain.endTime)) return [];
  const then = await catalog.snapshot(kv.at(chain.endTime));
  return changed.flatMap((tableId) => {
    const table = then.tableById(tableId);
    if (table?.state !== 'PUBLIC') return [];
    if (now.byId(tableId)?.state !== 'PUBLIC') return [{ tableId }];
    const apart = thresholds.droppedApart(tableId).filter((id) => indexById(table, id)?.state === 'public');
    return apart.map((indexId) => ({ tableId, indexId }));
  });
}

/** Why the table's history reaches back as far as it does. */
export async function explainTableGc(kv: Kv, jobs: JobRegistry, catalog: Catalog, tableId: number): Promise<TableGcExplanation> {
  const chains = await chainOutlooks(kv, jobs, catalog);
  return { ...kv.gc.explain(tableId), chains: chains.filter((chain) => chain.tableIds.includes(tableId)) };
}

const columns = (spec: Readonly<Record<string, ColumnType>>) => Object.entries(spec).map(([name, type]) => ({ name, type }));
const text = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));
const MICROS = (micros: number): Interval => new Interval(0, 0, micros);

export function registerGcStatus(engine: SqlEngine, jobs: JobRegistry): void {
  const { kv } = engine;
  const requireAdmin = async (context: VirtualTableContext, name: string): Promise<void> => {
    if (isAdmin(await rolesOf(context.reader, context.user))) return;
    throw new StatementError(SqlState.InsufficientPrivilege, `only users with the admin role are allowed to read varve_internal.${name}`);
  };
  const nameIn = (snapshot: CatalogSnapshot, id: number, indexId?: number): string => {
    const table = snapshot.tableById(id);
    const name = table ? snapshot.fullName(table).join('.') : `[${id}]`;
    if (indexId === undefined) return name;
    return `${name}@${(table && indexById(table, indexId)?.name) ?? `[${indexId}]`}`;
  };

  engine.virtualTables.register({
    schema: 'varve_internal',
    name: 'gc_status',
    comment: 'how far back the history of each table, and of each index with a TTL of its own, reaches, why, and what that costs',
    columns: columns({
      object: Type.String,
      table_id: Type.Int8,
      state: Type.String,
      ttl_seconds: Type.Int8,
      threshold: Type.Decimal,
      threshold_time: Type.TimestampTz,
      reason: Type.String,
      effective_ttl: Type.Interval,
      oldest_protection: Type.TimestampTz,
      protection_owner: Type.String,
      live_bytes: Type.Int8,
      garbage_bytes: Type.Int8,
      pinned_bytes: Type.Int8,
      next_incremental_before: Type.TimestampTz,
    }),
    async rows(context) {
      await requireAdmin(context, 'gc_status');
      const snapshot = await engine.catalog.current();
      const chains = await chainOutlooks(kv, jobs, engine.catalog);
      const parts = kv.gc.thresholds.tableIds().flatMap((tableId) => kv.gc.explainParts(tableId));
      return parts.map((status): Datum[] => {
        const { tableId, indexId, oldestProtection: oldest } = status;
        const ends = chains.flatMap((chain) =>
          chain.tableIds.includes(tableId) ? (kv.gc.thresholds.unreadableAt(tableId, chain.endTime, indexId ?? REST_OF_TABLE) ?? []) : [],
        );
        return [
          text(nameIn(snapshot, tableId, indexId)),
          tableId,
          text(snapshot.byId(tableId)?.state),
          status.ttlSeconds,
          timestampToDecimal(status.threshold),
          status.threshold,
          text(status.reason),
          MICROS(status.now - status.threshold),
          oldest?.ts ?? null,
          text(oldest && ownerOf(oldest)),
          status.stats.liveBytes,
          status.garbageBytes,
          status.pinnedBytes,
          ends.length === 0 ? null : Math.min(...ends),
        ];
      });
    },
  });

  engine.virtualTables.register({
    schema: 'varve_internal',
    name: 'backup_chains',
    comment: 'chains of backups whose jobs are retained, and until when each can be continued',
    columns: columns({
      collection: Type.String,
      subdirectory: Type.String,
      targets: Type.String,
      layers: Type.Int8,
      revision_history: Type.Bool,
      end_time: Type.TimestampTz,
      next_incremental_before: Type.TimestampTz,
      limiting_table: Type.String,
      status: Type.String,
    }),
    async rows(context) {
      await requireAdmin(context, 'backup_chains');
      const snapshot = await engine.catalog.current();
      return (await chainOutlooks(kv, jobs, engine.catalog)).map((chain): Datum[] => {
        const isLost = chain.lostAt !== undefined && chain.lostAt <= kv.reading();
        return [
          text(chain.collection),
          text(chain.subdirectory),
          text(chain.targets.join(', ')),
          chain.layers,
          chain.revisionHistory,
          chain.endTime,
          chain.lostAt ?? null,
          text(chain.limitingTableId === undefined ? undefined : nameIn(snapshot, chain.limitingTableId)),
          text(isLost ? 'lost: take a full backup' : chain.isHeld ? 'protected' : 'can be continued'),
        ];
      });
    },
  });
}

/** `job 5`, `schedule 5`, `user root`. */
function ownerOf(record: { readonly metaType: string; readonly meta: string }): string {
  return `${record.metaType.replace(/s$/, '')} ${record.meta}`;
}
