/**
 * What GRANT, REVOKE and SHOW GRANTS name: from `d.*` and ALL TABLES IN SCHEMA to descriptors.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { DatabaseDescriptor, Descriptor, FunctionDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import { publicSchemaOf } from '../../../catalog/publicSchema.ts';
import type { GrantTarget, ObjectName } from '../../parse/ast.ts';
import { partsOf, type SchemaChange } from './common.ts';
import { functionNamed } from './functionNames.ts';

/** The targets that have descriptors. */
export type ObjectTarget = Exclude<GrantTarget, { type: 'system' | 'externalConnection' }>;

export function schemaNamed(change: SchemaChange, name: ObjectName): ResolvedSchema {
  const parts = partsOf(name);
  const database = change.database(parts.length > 1 ? (parts[0] ?? '') : change.context.names.currentDatabase);
  return change.snapshot.requireSchema(database, parts.at(-1) ?? '');
}

/** The relations of `db.*`, `schema.*`, `db.schema.*` or `*`. */
export function tablesUnder(change: SchemaChange, name: ObjectName): TableDescriptor[] {
  const { snapshot } = change;
  const [first, second] = partsOf(name);
  const current = change.context.names.currentDatabase;
  const inSchema = (database: DatabaseDescriptor, schema: string): TableDescriptor[] =>
    snapshot.tablesOf(database.id, { schemaId: snapshot.requireSchema(database, schema).id });
  if (first === undefined) return snapshot.tablesOf(change.database(current).id);
  if (second !== undefined) return inSchema(change.database(first), second);
  const own = snapshot.database(current);
  if (own && snapshot.schema(own, first)) return inSchema(own, first);
  return snapshot.tablesOf(change.database(first).id);
}

/** The relations of ALL TABLES (views too) or ALL SEQUENCES in some schemas. */
export function allInSchemas(change: SchemaChange, target: Extract<GrantTarget, { type: 'allIn' }>): TableDescriptor[] {
  return target.schemas.flatMap((name) => {
    const schema = schemaNamed(change, name);
    return change.snapshot
      .tablesOf(schema.database.id, { schemaId: schema.id })
      .filter((table) => (table.sequence !== undefined) === (target.objects === 'sequences'));
  });
}

/** ALL FUNCTIONS in some schemas. */
export function functionsInSchemas(change: SchemaChange, target: Extract<GrantTarget, { type: 'allIn' }>): FunctionDescriptor[] {
  return target.schemas.flatMap((name) => {
    const schema = schemaNamed(change, name);
    return change.snapshot.functionsOf(schema.database.id).filter((one) => one.schemaId === schema.id);
  });
}

/** The descriptors a target names, each once. Schema public has one only where its grants are its own. */
export function targetsOf(change: SchemaChange, target: ObjectTarget): Descriptor[] {
  const { snapshot, context } = change;
  const found = ((): Descriptor[] => {
    switch (target.type) {
      case 'database':
        return target.names.map((name) => change.database(name.parts.at(-1)?.text ?? ''));
      case 'schema':
        return target.names.flatMap((name) => {
          const { descriptor, database } = schemaNamed(change, name);
          return descriptor ?? publicSchemaOf(database) ?? [];
        });
      case 'type':
        return target.names.map((name) => {
          const type = snapshot.resolveType(partsOf(name), context.names);
          if (!type) throw new StatementError(SqlState.UndefinedObject, `type "${partsOf(name).join('.')}" does not exist`);
          return type.descriptor;
        });
      case 'sequence':
        return target.names.flatMap((name) => change.relation(name, 'sequence')?.descriptor ?? []);
      case 'table':
        return target.patterns.flatMap((pattern): Descriptor[] => {
          const name = { parts: pattern.parts, pos: pattern.pos };
          return pattern.star ? tablesUnder(change, name) : [change.relation(name, 'any')?.descriptor ?? []].flat();
        });
      case 'function':
        return target.functions.flatMap((name) => functionNamed(change, name) ?? []);
      case 'allIn':
        return target.objects === 'functions' ? functionsInSchemas(change, target) : allInSchemas(change, target);
    }
  })();
  return [...new Set(found)];
}
