/**
 * Dry run: what a RESTORE would do, as rows, and everything that stands in its way. It reads what a
 * restore reads before its job, needs the same privileges, and writes nothing.
 *
 *   layer      each layer that is read, full first, with what the restore would read of it
 *   object     what is created, with its name in the backup and here; `existing` for a schema or type that is used
 *   problem    each conflict and each missing dependency, with the way out
 *
 * Rows and bytes are those that the layers hold of the objects: a row that changed from layer to layer counts
 * in each, so the restored table has at most so many.
 */
import { type Bytes, utf8Encode } from '../base/bytes.ts';
import type { VarveError } from '../base/errors.ts';
import { tablePrefix } from '../base/keycode.ts';
import { prefixSpan, type Span, spansOverlap } from '../base/span.ts';
import { formatUtc } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { type Descriptor, describeKind, PUBLIC_SCHEMA_ID } from '../catalog/descriptor.ts';
import { quoteNames } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { Type } from '../catalog/type.ts';
import type { HookResult, ResultColumn } from '../sql/exec/statement.ts';

import { namingPlaces, openCollection } from '../backup/collectionStorage.ts';
import { addCounts, type EntryCounts, type Layer, NO_ENTRIES } from '../backup/manifest.ts';

import { pathOf } from './renames.ts';
import { type ObjectPlan, planObjects, type RestorePlanningDeps, type RestoreRequest } from './restorePlanning.ts';

export const DRY_RUN_COLUMNS: readonly ResultColumn[] = Object.freeze([
  { name: 'item', type: Type.String },
  { name: 'kind', type: Type.String },
  { name: 'name', type: Type.String },
  { name: 'restored_as', type: Type.String },
  { name: 'rows', type: Type.Int8 },
  { name: 'bytes', type: Type.Int8 },
  { name: 'problem', type: Type.String },
  { name: 'hint', type: Type.String },
]);

interface PlanRow {
  readonly item: 'layer' | 'object' | 'existing' | 'problem';
  readonly kind: string;
  readonly name?: string;
  readonly restoredAs?: string;
  readonly counts?: EntryCounts | undefined;
  readonly problem?: string;
  readonly hint?: string | undefined;
}

/** The plan as rows. Throws what makes any plan impossible: no such backup, time or object, no privilege. */
export async function dryRun(deps: RestorePlanningDeps, request: RestoreRequest): Promise<HookResult> {
  const storage = openCollection(deps.storage, request.location, { user: request.user, nodeId: deps.kv.cluster.anyLiveNode().id });
  try {
    const problems: VarveError[] = [];
    const plan = await namingPlaces(storage, () => planObjects(deps, request, storage, (problem) => problems.push(problem)));
    const here = await deps.catalog.current();
    const rows = [...layerRows(plan), ...objectRows(plan, here, request.schemaOnly), ...problemRows(problems)].map(toDatums);
    return { tag: 'RESTORE', rows, rowCount: rows.length };
  } finally {
    await storage.close();
  }
}

function toDatums({ item, kind, name, restoredAs, counts, problem, hint }: PlanRow): Datum[] {
  const text = (value: string | undefined): Bytes | null => (value === undefined ? null : utf8Encode(value));
  return [text(item), text(kind), text(name), text(restoredAs), counts?.rows ?? null, counts?.dataBytes ?? null, text(problem), text(hint)];
}

function layerRows({ layers, tables }: ObjectPlan): PlanRow[] {
  const spans = tables.map(spanOfTable);
  return layers.map((layer) => ({
    item: 'layer',
    kind: layer.manifest.kind,
    name: layer.directory,
    restoredAs: `up to ${formatUtc(layer.manifest.endTime)}`,
    counts: countsIn([layer], spans),
  }));
}

function objectRows(plan: ObjectPlan, here: CatalogSnapshot, schemaOnly: boolean): PlanRow[] {
  const { targets, backup, place, layers } = plan;
  const path = (one: Descriptor) => pathHere(one, plan, here);
  const all = [...targets.databases, ...targets.schemas, ...targets.types, ...targets.functions, ...targets.tables].sort(
    (a, b) => a.id - b.id,
  );
  return all.map((one) => {
    const before = backup.byId(one.id) ?? one;
    const hasRows = one.kind === 'table' && !schemaOnly;
    return {
      item: place.existing.has(one.id) ? 'existing' : 'object',
      kind: describeKind(one),
      name: quoteNames(pathOf(before, backup)),
      restoredAs: quoteNames(path(one)),
      counts: hasRows ? countsIn(layers, [spanOfTable(one.id)]) : undefined,
    };
  });
}

/** What a restored object will be called in full. */
function pathHere(one: Descriptor, { targets, backup, place }: ObjectPlan, here: CatalogSnapshot): string[] {
  if (one.kind === 'database') return [one.name];
  const created = targets.databases.find(({ id }) => id === one.parentId);
  const existing = here.databaseById(place.existing.get(one.parentId) ?? 0);
  const database = created?.name ?? existing?.name ?? backup.databaseById(one.parentId)?.name ?? '';
  if (one.kind === 'schema') return [database, one.name];
  const schema = one.schemaId === PUBLIC_SCHEMA_ID ? 'public' : (targets.schemas.find(({ id }) => id === one.schemaId)?.name ?? '');
  return [database, schema, one.name];
}

function problemRows(problems: readonly VarveError[]): PlanRow[] {
  return problems.map(({ code, message, detail, hint }) => ({
    item: 'problem',
    kind: code,
    problem: detail === undefined ? message : `${message}: ${detail}`,
    hint,
  }));
}

const spanOfTable = (id: number): Span => prefixSpan(tablePrefix(id));

function countsIn(layers: readonly Layer[], spans: readonly Span[]): EntryCounts {
  let counts = NO_ENTRIES;
  for (const { manifest } of layers) {
    for (const part of manifest.files.flatMap(({ parts }) => parts)) {
      if (spans.some((span) => spansOverlap(span, part.span))) counts = addCounts(counts, part);
    }
  }
  return counts;
}
