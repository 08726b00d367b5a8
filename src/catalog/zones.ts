/**
 * Zones: the rows of system.zones, what applies to each object, and what GC must know of it.
 *
 * A row has the id of a database or table, or of a named range; a table's row also holds its
 * indexes' zones. ZoneSet resolves over one reading of the rows; Zones keeps the current one through
 * a commit hook and is GC's SpanConfigs. A change is announced before it is visible, so thresholds
 * settle under the old TTL and never move back. An index with a gc.ttlseconds of its own has a
 * threshold of its own.
 */
import { ConstraintError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { IndexConfigs, SpanConfigs, TableConfig } from '../gc/spanConfigs.ts';
import type { CommittedWrites, Kv, KvReader, Txn } from '../kv/kv.ts';
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix } from '../base/keycode.ts';
import { prefixSpan } from '../base/span.ts';

import { checkNotAttached } from './attached.ts';
import type { Catalog, CatalogChange } from './catalog.ts';
import { allIndexes, type Descriptor, indexById, MAX_SYSTEM_ID, type TableDescriptor } from './descriptor.ts';
import { quoteName, quoteNames } from './names.ts';
import type { CatalogSnapshot } from './snapshot.ts';
import { type PlainRow, systemTable } from './systemRows.ts';
import { systemTables } from './systemTables.ts';
import { DEFAULT_ZONE, inherit, validateZone, type ZoneConfig, zoneSql } from './zoneConfig.ts';

/** The ranges that have zones of their own, by the ids CockroachDB gives them. */
export const RANGE_ZONE_IDS = Object.freeze({ default: 0, meta: 16, system: 17, timeseries: 18, liveness: 22 });
export type RangeZoneName = keyof typeof RANGE_ZONE_IDS;

export type ZoneTarget =
  | { readonly kind: 'range'; readonly name: RangeZoneName }
  | { readonly kind: 'database'; readonly id: number }
  | { readonly kind: 'table'; readonly id: number }
  | { readonly kind: 'index'; readonly id: number; readonly indexId: number }
  /** The rows of an index that are in one region. */
  | { readonly kind: 'partition'; readonly id: number; readonly indexId: number; readonly region: string };

/** One row of system.zones. */
export interface StoredZone {
  readonly id: number;
  /** Undefined when the row is there only for indexes. */
  readonly config: ZoneConfig | undefined;
  /** By index id as text. */
  readonly indexes: Readonly<Record<string, ZoneConfig>>;
  /** By index id as text, then by region: the parts of a REGIONAL BY ROW table. */
  readonly partitions: PartitionZones;
}

export type PartitionZones = Readonly<Record<string, Readonly<Record<string, ZoneConfig>>>>;

const NONE: PartitionZones = Object.freeze({});

/** One row of SHOW ZONE CONFIGURATION. */
export interface ZoneDisplay {
  /** `TABLE movr.public.users`, `RANGE default`. */
  readonly target: string;
  readonly rawConfigSql: string;
}

/** The range of that name. Throws 42704. */
export function rangeZone(name: string): ZoneTarget {
  if (!Object.hasOwn(RANGE_ZONE_IDS, name)) {
    throw new StatementError(SqlState.UndefinedObject, `"${name}" is not a built-in zone`, {
      hint: `the named ranges are ${Object.keys(RANGE_ZONE_IDS).join(', ')}`,
    });
  }
  return { kind: 'range', name: name as RangeZoneName };
}

function fromRow(row: PlainRow): StoredZone {
  const { config, indexes = {}, partitions = NONE } = (row['config'] ?? {}) as Partial<StoredZone>;
  return { id: Number(row['id']), config, indexes, partitions };
}

/** The zones of one moment. */
export class ZoneSet {
  readonly #zones: ReadonlyMap<number, StoredZone>;
  readonly #snapshot: CatalogSnapshot;
  /** What `effective` found: every table of a database asks for it. */
  readonly #ofDatabases = new Map<number, ZoneConfig>();

  constructor(zones: Iterable<StoredZone>, snapshot: CatalogSnapshot) {
    this.#zones = new Map([...zones].map((zone) => [zone.id, zone]));
    this.#snapshot = snapshot;
  }

  /** The zones as a reader sees them. */
  static async read(reader: KvReader, snapshot: CatalogSnapshot): Promise<ZoneSet> {
    return new ZoneSet((await systemTable('zones').scan(reader)).map(fromRow), snapshot);
  }

  /** What the target itself sets; undefined when it has no zone. */
  own(target: ZoneTarget): ZoneConfig | undefined {
    const zone = this.#zones.get(zoneId(target));
    if (target.kind === 'partition') return zone?.partitions[target.indexId]?.[target.region];
    return target.kind === 'index' ? zone?.indexes[target.indexId] : zone?.config;
  }

  /** Every variable that applies to the target. */
  effective(target: ZoneTarget): ZoneConfig {
    const known = target.kind === 'database' ? this.#ofDatabases.get(target.id) : undefined;
    if (known) return known;
    const own = this.own(target) ?? {};
    const parent = this.parentOf(target);
    const effective = inherit(own, parent ? this.effective(parent) : DEFAULT_ZONE);
    if (target.kind === 'database') this.#ofDatabases.set(target.id, effective);
    return effective;
  }

  /** Where the target's unset variables come from; undefined for RANGE default. */
  parentOf(target: ZoneTarget): ZoneTarget | undefined {
    switch (target.kind) {
      case 'partition':
        return { kind: 'index', id: target.id, indexId: target.indexId };
      case 'index':
        return { kind: 'table', id: target.id };
      case 'table': {
        const table = this.#snapshot.tableById(target.id);
        return table ? { kind: 'database', id: table.parentId } : { kind: 'range', name: 'default' };
      }
      case 'database':
        return { kind: 'range', name: 'default' };
      case 'range':
        return target.name === 'default' ? undefined : { kind: 'range', name: 'default' };
    }
  }

  /** The target's configuration, or that of the nearest ancestor that has one, with every effective value. */
  show(target: ZoneTarget): ZoneDisplay {
    const parent = this.parentOf(target);
    if (this.own(target) === undefined && parent) return this.show(parent);
    return { target: this.nameOf(target), rawConfigSql: zoneSql(this.nameOf(target), this.effective(target)) };
  }

  /** Every zone there is, each with what it sets itself: named ranges first, then databases and tables by id. */
  showAll(): ZoneDisplay[] {
    const rangeNames = new Map<number, RangeZoneName>(Object.entries(RANGE_ZONE_IDS).map(([name, id]) => [id, name as RangeZoneName]));
    const displays: ZoneDisplay[] = [];
    const add = (target: ZoneTarget) => {
      const own = this.own(target);
      if (own !== undefined) displays.push({ target: this.nameOf(target), rawConfigSql: zoneSql(this.nameOf(target), own) });
    };
    for (const zone of [...this.#zones.values()].sort((a, b) => a.id - b.id)) {
      const rangeName = rangeNames.get(zone.id);
      const descriptor = this.#snapshot.byId(zone.id);
      if (descriptor?.kind === 'database') add({ kind: 'database', id: zone.id });
      else if (descriptor?.kind === 'table') add({ kind: 'table', id: zone.id });
      else if (rangeName !== undefined) add({ kind: 'range', name: rangeName });
      for (const indexId of Object.keys(zone.indexes)) add({ kind: 'index', id: zone.id, indexId: Number(indexId) });
      for (const [indexId, ofRegions] of Object.entries(zone.partitions))
        for (const region of Object.keys(ofRegions)) add({ kind: 'partition', id: zone.id, indexId: Number(indexId), region });
    }
    return displays;
  }

  /** `RANGE default`, `DATABASE d`, `TABLE d.public.t`, `INDEX d.public.t@i`. */
  nameOf(target: ZoneTarget): string {
    if (target.kind === 'range') return `RANGE ${target.name}`;
    if (target.kind === 'database') return `DATABASE ${quoteName(this.#snapshot.databaseById(target.id)?.name ?? `[${target.id}]`)}`;
    const table = this.#snapshot.tableById(target.id);
    const name = table ? quoteNames(this.#snapshot.fullName(table)) : `[${target.id}]`;
    if (target.kind === 'table') return `TABLE ${name}`;
    const index = table && indexById(table, target.indexId);
    const indexName = `INDEX ${name}@${index ? quoteName(index.name) : `[${target.indexId}]`}`;
    return target.kind === 'index' ? indexName : `PARTITION ${quoteName(target.region)} OF ${indexName}`;
  }

  /** What is known of a table at this moment. */
  table(id: number): TableDescriptor | undefined {
    return this.#snapshot.tableById(id);
  }

  zoneOf(id: number): StoredZone | undefined {
    return this.#zones.get(id);
  }

  zones(): Iterable<StoredZone> {
    return this.#zones.values();
  }
}

function zoneId(target: ZoneTarget): number {
  return target.kind === 'range' ? RANGE_ZONE_IDS[target.name] : target.id;
}

/**
 * Sets variables of a target's zone, beside those it has. Throws 23514 when the result breaks a rule,
 * 42501 for system objects' zones when not `asAdmin`.
 */
export async function configureZone(txn: Txn, snapshot: CatalogSnapshot, target: ZoneTarget, changes: ZoneConfig): Promise<void> {
  const zones = await ZoneSet.read(txn, snapshot);
  const own = inherit(changes, zones.own(target) ?? {});
  validateZone(own, inherit(own, zones.effective(target)));
  await writeZone(txn, zones, target, own);
}

/** Sets variables of the zones of tables that may be just being made, beside those they have. Throws 23514 as configureZone. */
export async function configureTables(
  txn: Txn,
  zones: ZoneSet,
  tables: readonly { readonly id: number; readonly changes: ZoneConfig }[],
): Promise<void> {
  for (const { id, changes } of tables) {
    const target: ZoneTarget = { kind: 'table', id };
    const own = inherit(changes, zones.own(target) ?? {});
    validateZone(own, inherit(own, zones.effective(target)));
    await writeZone(txn, zones, target, own);
  }
}

/** `COPY FROM PARENT`: the parent's present value of one variable. */
export function parentValue(zones: ZoneSet, target: ZoneTarget, field: keyof ZoneConfig): ZoneConfig {
  const parent = zones.parentOf(target);
  return { [field]: (parent ? zones.effective(parent) : DEFAULT_ZONE)[field] };
}

/** The target inherits everything again. Throws 23514 for RANGE default. */
export async function discardZone(txn: Txn, snapshot: CatalogSnapshot, target: ZoneTarget): Promise<void> {
  if (target.kind === 'range' && target.name === 'default') {
    throw new ConstraintError(SqlState.CheckViolation, 'cannot remove default zone');
  }
  await writeZone(txn, await ZoneSet.read(txn, snapshot), target, undefined);
}

async function writeZone(txn: Txn, zones: ZoneSet, target: ZoneTarget, own: ZoneConfig | undefined): Promise<void> {
  checkNotAttached(zoneId(target));
  const id = zoneId(target);
  const stored = zones.zoneOf(id);
  const indexes: Record<string, ZoneConfig> = { ...stored?.indexes };
  let partitions = stored?.partitions ?? NONE;
  let config = stored?.config;
  if (target.kind === 'partition') {
    const ofRegions: Record<string, ZoneConfig> = { ...partitions[target.indexId] };
    if (own === undefined) delete ofRegions[target.region];
    else ofRegions[target.region] = own;
    partitions = { ...partitions, [target.indexId]: ofRegions };
  } else if (target.kind !== 'index') config = own;
  else if (own === undefined) delete indexes[target.indexId];
  else indexes[target.indexId] = own;
  await putZone(txn, { id, config, indexes, partitions });
}

/** Writes all that one row of system.zones says; takes the row away when it says nothing. */
export async function putZone(txn: Txn, { id, config, indexes, partitions }: StoredZone): Promise<void> {
  const parts = Object.entries(partitions).filter(([, ofRegions]) => Object.keys(ofRegions).length > 0);
  const isEmpty = config === undefined && Object.keys(indexes).length + parts.length === 0;
  if (isEmpty) await systemTable('zones').delete(txn, id);
  else await systemTable('zones').upsert(txn, zoneRow(id, config, indexes, Object.fromEntries(parts)));
}

/** Gives a table that replaces another (TRUNCATE) its zone; the old one keeps it until its data is cleared. */
export async function copyZone(txn: Txn, fromId: number, toId: number): Promise<void> {
  const row = await systemTable('zones').get(txn, fromId);
  if (row) await systemTable('zones').upsert(txn, { ...row, id: toId });
}

/**
 * Removes the zones of objects that are gone, with all that was in them: a dropped database's zone
 * decides over its dropped tables until the last is cleared, a dropped index's over its data.
 */
export async function deleteOrphanZones(kv: Kv, zones: Zones, snapshot: CatalogSnapshot): Promise<void> {
  await deleteOrphanIndexZones(kv, zones, snapshot);
  const gone = [...(zones.current()?.zones() ?? [])].filter(({ id }) => id > MAX_SYSTEM_ID && snapshot.byId(id) === undefined);
  if (gone.length === 0) return;
  const parents = new Set([...snapshot.all()].map((descriptor) => descriptor.parentId));
  const orphans = gone.filter(({ id }) => !parents.has(id));
  if (orphans.length === 0) return;
  await kv.run(async (txn) => {
    for (const { id } of orphans) await systemTable('zones').delete(txn, id);
  });
}

async function deleteOrphanIndexZones(kv: Kv, zones: Zones, snapshot: CatalogSnapshot): Promise<void> {
  for (const { id, indexes, partitions } of zones.current()?.zones() ?? []) {
    const table = snapshot.tableById(id);
    if (table?.state !== 'PUBLIC') continue;
    const isGone = (indexId: number) =>
      indexById(table, indexId) === undefined && kv.rangesOf(prefixSpan(indexPrefix(id, indexId))).length === 0;
    const gone = new Set([...Object.keys(indexes), ...Object.keys(partitions)].filter((indexId) => isGone(Number(indexId))));
    if (gone.size === 0) continue;
    const kept = <T>(record: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(record).filter(([key]) => !gone.has(key)));
    await kv.run(async (txn) => {
      const stored = (await ZoneSet.read(txn, snapshot)).zoneOf(id);
      if (stored) await putZone(txn, { ...stored, indexes: kept(stored.indexes), partitions: kept(stored.partitions) });
    });
  }
}

/** The row of a zone. */
export function zoneRow(
  id: number,
  config: ZoneConfig | undefined,
  indexes: StoredZone['indexes'] = {},
  partitions: PartitionZones = NONE,
): PlainRow {
  const isSome = (record: object) => Object.keys(record).length > 0;
  return { id, config: { ...(config && { config }), ...(isSome(indexes) && { indexes }), ...(isSome(partitions) && { partitions }) } };
}

/** Tables whose history every protection holds: without them no other history can be read. */
export const CATALOG_TABLE_IDS: ReadonlySet<number> = new Set([
  systemTables.descriptor.desc.id,
  systemTables.namespace.desc.id,
  systemTables.zones.desc.id,
]);

/** Whether a change of the catalog changes anything that TableConfig tells: not what views, names and comments are about. */
function concernsData(change: CatalogChange): boolean {
  return change?.some(({ before, after }) => dataOf(before) !== dataOf(after)) ?? true;
}

/** All that matters of a descriptor for its data, as text; '' for what has none. */
function dataOf(descriptor: Descriptor | undefined): string {
  if (!descriptor || descriptor.kind === 'type' || descriptor.kind === 'function') return '';
  if (descriptor.kind !== 'table') return `${descriptor.kind} ${descriptor.state}`;
  const { view, state, parentId, schemaId, excludeDataFromBackup, modificationTime } = descriptor;
  if (view && !view.isMaterialized) return '';
  const ids = allIndexes(descriptor).map(({ id }) => id);
  return [state, state === 'DROP' && modificationTime, parentId, schemaId, excludeDataFromBackup, ...ids].join(' ');
}

/** The current zones, as GC asks for them. */
export class Zones implements SpanConfigs {
  readonly #catalog: Catalog;
  #zones = new Map<number, StoredZone>();
  #current: { readonly version: number; readonly set: ZoneSet } | undefined;
  #version = 0;
  readonly #cache = new Map<number, TableConfig | undefined>();
  #tablesOf: { readonly version: number; readonly ids: readonly number[] } | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #listenersAfter = new Set<() => void>();
  readonly #remove: (() => void)[];

  private constructor(kv: Kv, catalog: Catalog) {
    this.#catalog = catalog;
    const announce = () => {
      for (const listener of this.#listeners) listener();
    };
    const changed = () => {
      this.#version++;
      this.#cache.clear();
    };
    this.#remove = [
      kv.addCommitHook(systemTable('zones').span, {
        apply: (writes) => {
          announce();
          this.#apply(writes);
          changed();
          for (const listener of this.#listenersAfter) listener();
        },
      }),
      catalog.onBeforeChange((change) => {
        if (concernsData(change)) announce();
      }),
      catalog.onChange((change) => {
        if (concernsData(change)) changed();
      }),
    ];
  }

  /** For a fork of the cluster, just made: the same zones, and what its own commits make of them. */
  fork(kv: Kv, catalog: Catalog): Zones {
    const fork = new Zones(kv, catalog);
    fork.#zones = new Map(this.#zones);
    return fork;
  }

  /** Reads the rows and follows them from then on. */
  static async open(kv: Kv, catalog: Catalog): Promise<Zones> {
    const zones = new Zones(kv, catalog);
    await catalog.current();
    const rows = await kv.at(kv.reading()).scan(systemTable('zones').span);
    // Rows that a commit has brought meanwhile are newer than the scan's.
    const seen = new Map(zones.#zones);
    zones.#apply(rows);
    for (const [id, zone] of seen) zones.#zones.set(id, zone);
    zones.#cache.clear();
    return zones;
  }

  close(): void {
    for (const remove of this.#remove) remove();
  }

  get version(): number {
    return this.#version;
  }

  onBeforeChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called after a zone's row has changed, synchronously inside the commit step. Returns the function that removes it. */
  onZoneChange(listener: () => void): () => void {
    this.#listenersAfter.add(listener);
    return () => this.#listenersAfter.delete(listener);
  }

  tableIds(): readonly number[] {
    const version = this.#catalog.versionNow();
    if (version === undefined) return [];
    if (this.#tablesOf?.version !== version) {
      const ids: number[] = [];
      const snapshot = this.#catalog.currentNow();
      for (const descriptor of snapshot?.all() ?? [])
        if (descriptor.kind === 'table' && (!descriptor.view || descriptor.view.isMaterialized)) ids.push(descriptor.id);
      this.#tablesOf = { version, ids };
    }
    return this.#tablesOf.ids;
  }

  nameOf(tableId: number, indexId?: number): string | undefined {
    const snapshot = this.#catalog.currentNow();
    const table = snapshot?.tableById(tableId);
    if (!snapshot || !table) return undefined;
    const name = quoteNames(snapshot.fullName(table));
    if (indexId === undefined) return name;
    const index = indexById(table, indexId);
    return `${name}@${index ? quoteName(index.name) : `[${indexId}]`}`;
  }

  configOf(tableId: number): TableConfig | undefined {
    if (!this.#cache.has(tableId)) this.#cache.set(tableId, this.#compute(tableId));
    return this.#cache.get(tableId);
  }

  /** The current zones, for display and for lease preferences. */
  current(): ZoneSet | undefined {
    const snapshot = this.#catalog.currentNow();
    if (!snapshot) return undefined;
    const { version } = snapshot;
    if (this.#current?.version !== version) this.#current = { version, set: new ZoneSet(this.#zones.values(), snapshot) };
    return this.#current.set;
  }

  #compute(tableId: number): TableConfig | undefined {
    const snapshot = this.#catalog.currentNow();
    const table = snapshot?.tableById(tableId);
    if (!snapshot || !table) return undefined;
    const effective = this.current()?.effective({ kind: 'table', id: tableId }) ?? DEFAULT_ZONE;
    return {
      ttlSeconds: effective.gcTtlSeconds ?? 1,
      ancestors: [table.parentId, table.schemaId],
      excludeFromBackup: table.excludeDataFromBackup === true,
      ...(!CATALOG_TABLE_IDS.has(tableId) && this.#indexConfigs(table)),
      ...(CATALOG_TABLE_IDS.has(tableId) && { isCatalog: true }),
      ...(table.version === 1 && { madeAt: table.modificationTime }),
      ...(table.state === 'DROP' && { droppedAt: table.modificationTime }),
    };
  }

  /** The table's indexes, and the TTLs that some set for themselves. */
  #indexConfigs(table: TableDescriptor): { readonly indexes: IndexConfigs } {
    const ttlSeconds = new Map<number, number>();
    for (const [indexId, config] of Object.entries(this.#zones.get(table.id)?.indexes ?? {})) {
      if (config.gcTtlSeconds !== undefined) ttlSeconds.set(Number(indexId), config.gcTtlSeconds);
    }
    return { indexes: { ttlSeconds, ids: allIndexes(table).map(({ id }) => id) } };
  }

  #apply(writes: CommittedWrites): void {
    this.#current = undefined;
    const table = systemTable('zones');
    writes.keys.forEach((key, i) => {
      const value: Bytes | null = writes.values[i] ?? null;
      const id = Number(table.decodeKey(key)['id']);
      if (value === null) this.#zones.delete(id);
      else this.#zones.set(id, fromRow(table.decode(key, value)));
    });
  }
}
