/**
 * Feature usage: how often statements have asked for what, since the server started. crdb_internal.feature_usage
 * shows the counts, under CockroachDB's names; nothing is sent anywhere.
 */
import type { ColumnDef, ConfigureZone, Show, Statement } from '../parse/ast.ts';
import { printType } from '../parse/printer.ts';
import { statementName } from './tags.ts';

export class FeatureUsage {
  readonly #counts = new Map<string, number>();

  /** Cost: a look at the statement's kind; a walk of its parts for DDL. */
  note(statement: Statement): void {
    for (const feature of featuresOf(statement)) this.#counts.set(feature, (this.#counts.get(feature) ?? 0) + 1);
  }

  /** By name. */
  entries(): [feature: string, count: number][] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

function featuresOf(statement: Statement): readonly string[] {
  switch (statement.kind) {
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
      return [];
    case 'show':
      return [`sql.show.${SHOWN[statement.what] ?? statement.what.toLowerCase()}`];
    case 'showJobs':
      return ['sql.show.jobs'];
    case 'configureZone':
      return zoneFeatures(statement);
    case 'createTable':
      return ['sql.schema.create_table', ...statement.elements.flatMap((one) => (one.kind === 'columnDef' ? columnFeatures(one) : []))];
    case 'alterTable':
      return statement.actions.flatMap((action) => [
        `sql.schema.alter_table.${action.type.replaceAll(/[A-Z]/g, '_$&').toLowerCase()}`,
        ...(action.type === 'addColumn' ? columnFeatures(action.column) : []),
      ]);
    default:
      return /^(?:alter|create|drop|truncate)/.test(statement.kind)
        ? [`sql.schema.${statementName(statement).toLowerCase().replaceAll(' ', '_')}`]
        : [];
  }
}

const SHOWN: Readonly<Partial<Record<Show['what'], string>>> = { statements: 'queries', databaseIndexes: 'indexes', users: 'roles' };

function zoneFeatures({ target, settings }: ConfigureZone): string[] {
  return [
    `sql.schema.alter_${target.type}.configure_zone`,
    ...settings.map((setting) => `sql.schema.zone_config.${target.type}.${setting.name}`),
  ];
}

function columnFeatures({ type, qualifiers }: ColumnDef): string[] {
  const column = 'sql.schema.new_column';
  const features = [
    `${column}_type.${printType(type)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '_')}`,
  ];
  for (const qualifier of qualifiers) {
    if (qualifier.type === 'unique' || qualifier.type === 'computed') features.push(`${column}.qualification.${qualifier.type}`);
    else if (qualifier.type === 'default') features.push(`${column}.qualification.default_expr`);
  }
  return features;
}
