/**
 * SpanConfigs: what GC must know of each table, as an interface that the catalog implements.
 *
 * GC keeps no copy: it asks at each use, so a changed zone counts at once. The one duty of whoever
 * implements it is to announce a change *before* it becomes visible: thresholds are then settled
 * under the old configuration, and raising a TTL can never bring one back.
 */
import type { Timestamp } from '../base/timestamp.ts';

export interface TableConfig {
  /** How long superseded versions are kept: the effective gc.ttlseconds. At least TTL_SECONDS_MIN. */
  readonly ttlSeconds: number;
  /** Undefined where nobody knows the table's indexes. */
  readonly indexes?: IndexConfigs;
  /** Ids of the objects that contain the table (its database, its schema): a protection of one of them covers the table. */
  readonly ancestors: readonly number[];
  /** Records of backups do not hold this table (exclude_data_from_backup). */
  readonly excludeFromBackup: boolean;
  /** The table holds the history of other objects (descriptors, names, zones): kept as long as any object's. */
  readonly isCatalog?: boolean;
  /** When it was made, as long as that is known. */
  readonly madeAt?: Timestamp;
  /** When the table was dropped; its data waits for its TTL. */
  readonly droppedAt?: Timestamp;
}

export interface IndexConfigs {
  /** Indexes with a TTL of their own, dropped ones too while their data is there. */
  readonly ttlSeconds: ReadonlyMap<number, number>;
  /** Every index that the table has today, whether its TTL is its own or not. */
  readonly ids: readonly number[];
}

export interface SpanConfigs {
  /** Undefined for an id it does not know: the default applies. */
  configOf(tableId: number): TableConfig | undefined;
  /** What users call the table, with database and schema; undefined when it is not known any more. For messages. */
  nameOf?(tableId: number, indexId?: number): string | undefined;
  /** Every table it knows, with data or without. The same array means the same tables. */
  tableIds(): readonly number[];
  /** Grows whenever any answer of configOf may have changed, so that callers can cache. */
  readonly version: number;
  /**
   * `listener` is called synchronously before a change becomes visible, while configOf still gives
   * the old answers. Returns the function that removes it.
   */
  onBeforeChange(listener: () => void): () => void;
}

/** No table keeps history for less: a running transaction needs some. */
export const TTL_SECONDS_MIN = 1;
/** The cluster's default TTL: four hours. */
export const DEFAULT_TTL_SECONDS = 14_400;

export const DEFAULT_TABLE_CONFIG: TableConfig = Object.freeze({
  ttlSeconds: DEFAULT_TTL_SECONDS,
  ancestors: Object.freeze([]),
  excludeFromBackup: false,
});

/** What holds before a catalog plugs itself in: the default for every table. */
export const DEFAULT_SPAN_CONFIGS: SpanConfigs = Object.freeze({
  version: 0,
  configOf: () => undefined,
  tableIds: () => [],
  onBeforeChange: () => () => {},
});
