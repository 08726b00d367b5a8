/**
 * Renames: `WITH rename = (accounts = accounts_old, 'bank.audit' = 'audit_2025')`: restored databases,
 * schemas and tables under other names.
 *
 *   N1  the left side names something that is restored, as the backup calls it and with as many parts as
 *       tell it apart; the right side is its new name alone: into_db says where tables go
 *   N2  a thing is named twice by nobody: neither two pairs nor a pair and new_db_name
 *   N3  whether the new name is free is checked with all the others (publish.ts)
 *
 * What is restored is renamed before anything else is planned, so every later step knows new names only;
 * texts of views, which name things in full, follow (viewRefs.ts, with newNames()).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { DatabaseDescriptor, Descriptor } from '../catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID } from '../catalog/descriptor.ts';
import { quoteNames } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Expr } from '../sql/parse/ast.ts';

import { requireText } from '../backup/statementValues.ts';

import type { RestoreTargets } from './restoreTargets.ts';

/** One pair as written. */
export interface RenameRequest {
  readonly from: readonly string[];
  readonly to: string;
}

/** New names by id in the backup. */
export type Renames = ReadonlyMap<number, string>;

/** The pairs of the option's value: names, or texts, on either side of `=`. 42601 for anything else, 22023 for a new name of several parts. */
export async function readRenames(context: StatementContext, value: Expr): Promise<RenameRequest[]> {
  const requests: RenameRequest[] = [];
  for (const pair of value.kind === 'tuple' ? value.elements : [value]) {
    if (pair.kind !== 'binary' || pair.op !== '=') {
      throw new StatementError(SqlState.SyntaxError, 'option rename is a list of old = new names', {
        location: { position: pair.pos + 1 },
        hint: "such as WITH rename = ('accounts' = 'accounts_old', 'bank' = 'bank_old')",
      });
    }
    const from = await partsOf(context, pair.left);
    const to = await partsOf(context, pair.right);
    const [name] = to;
    if (to.length !== 1 || name === undefined || name === '') {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `the new name of ${quoteNames(from)} is one name: ${quoteNames(to)} has ${to.length} parts`,
        {
          location: { position: pair.right.pos + 1 },
          hint: 'what is renamed stays in its schema and database; tables go elsewhere WITH into_db',
        },
      );
    }
    requests.push({ from, to: name });
  }
  return requests;
}

async function partsOf(context: StatementContext, expr: Expr): Promise<string[]> {
  if (expr.kind === 'column') return expr.parts.map(({ text }) => text);
  // As other options take names: a text is a name as it stands, without folding its case.
  const text = await requireText(context, expr, 'a name in option rename');
  return [...text.matchAll(/(?:"((?:[^"]|"")*)"|([^".]+))(?:\.|$)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}

/** New names by id. 42704 for a name that nothing restored has, 42P09 for one that several have, 42601 for one renamed twice. */
export function resolveRenames(requests: readonly RenameRequest[], targets: RestoreTargets, backup: CatalogSnapshot): Renames {
  const renames = new Map<number, string>();
  for (const { from, to } of requests) {
    const found = [...targets.databases, ...targets.schemas, ...targets.tables].filter((one) => isNamed(one, from, backup));
    // One part is a database before it is a table or a schema: those can be written with more.
    const [meant, ...others] = found.some(({ kind }) => kind === 'database') && from.length === 1 ? found.slice(0, 1) : found;
    if (meant === undefined) {
      throw new StatementError(SqlState.UndefinedObject, `option rename: ${quoteNames(from)} is not restored`, {
        hint: 'it names restored databases, schemas and tables as the backup calls them; WITH dry_run lists them',
      });
    }
    if (others.length > 0) {
      const names = found.map((one) => quoteNames(pathOf(one, backup)));
      throw new StatementError(SqlState.AmbiguousAlias, `option rename: ${quoteNames(from)} is ambiguous`, {
        detail: `it could be ${names.join(' or ')}`,
        hint: 'write more of the name',
      });
    }
    if (renames.has(meant.id)) {
      throw new StatementError(SqlState.SyntaxError, `option rename gives ${quoteNames(pathOf(meant, backup))} two names`);
    }
    renames.set(meant.id, to);
  }
  return renames;
}

/** Whether the last parts of a descriptor's full name are these; the schema public may be left out. */
function isNamed(descriptor: Descriptor, parts: readonly string[], backup: CatalogSnapshot): boolean {
  const path = pathOf(descriptor, backup);
  const isEnd = (full: readonly string[]) => parts.length <= full.length && parts.every((part, i) => part === full.at(i - parts.length));
  if (isEnd(path)) return true;
  const isInPublic = descriptor.kind === 'table' && descriptor.schemaId === PUBLIC_SCHEMA_ID;
  return isInPublic && parts.length === 2 && isEnd([path[0] ?? '', path[2] ?? '']);
}

/** `[database]`, `[database, schema]` or `[database, schema, name]`. */
export function pathOf(descriptor: Descriptor, backup: CatalogSnapshot): readonly string[] {
  if (descriptor.kind === 'database') return [descriptor.name];
  if (descriptor.kind === 'schema') return [backup.databaseById(descriptor.parentId)?.name ?? '', descriptor.name];
  return backup.fullName(descriptor);
}

/** What is restored, under its new names. 42601 when new_db_name names a database that a pair has renamed. */
export function renamed(targets: RestoreTargets, renames: Renames, newDbName: string | undefined): RestoreTargets {
  const [database] = targets.databases;
  if (newDbName !== undefined && database && renames.has(database.id)) {
    throw new StatementError(SqlState.SyntaxError, `database "${database.name}" is named by both rename and new_db_name`);
  }
  const withName = <D extends Descriptor>(one: D): D => ({ ...one, name: renames.get(one.id) ?? one.name });
  return {
    ...targets,
    databases: targets.databases.map(
      (one): DatabaseDescriptor => ({ ...withName(one), ...(newDbName !== undefined && { name: newDbName }) }),
    ),
    schemas: targets.schemas.map(withName),
    tables: targets.tables.map(withName),
  };
}

/** What the texts of a restored object call things here. */
export interface NewNames {
  /** True when nothing has another name. */
  readonly isSame: boolean;
  /** The new path of `[database, schema, name]`; undefined for what is not restored. */
  of(path: readonly string[]): readonly string[] | undefined;
}

/**
 * `targets` under their old names; `databaseNames`: databases of the backup to what they are called here.
 */
export function newNames(
  targets: RestoreTargets,
  renames: Renames,
  databaseNames: ReadonlyMap<string, string>,
  backup: CatalogSnapshot,
): NewNames {
  const paths = new Map<string, readonly string[]>();
  for (const one of [...targets.tables, ...targets.types, ...targets.functions]) {
    const [database = '', schema = '', name = ''] = backup.fullName(one);
    const path = [databaseNames.get(database) ?? database, renames.get(one.schemaId) ?? schema, renames.get(one.id) ?? name];
    paths.set(quoteNames([database, schema, name]), path);
  }
  const isSame = [...databaseNames].every(([from, to]) => from === to) && renames.size === 0;
  return {
    isSame,
    of: (path) => {
      const known = paths.get(quoteNames(path));
      if (known !== undefined || path.length !== 3) return known;
      const database = databaseNames.get(path[0] ?? '');
      return database === undefined ? undefined : [database, ...path.slice(1)];
    },
  };
}
