/**
 * Scheduled statement: the BACKUP that a schedule keeps. What the user wrote is evaluated once, so that placeholders and
 * names mean later what they meant when the schedule was made, and printed back to SQL.
 */
import { type Bytes, utf8Decode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { CatalogSnapshot } from '../catalog/catalog.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Backup, BackupTargets, Expr, Option, TablePattern, UriList } from '../sql/parse/ast.ts';
import { printStatement } from '../sql/parse/printer.ts';
import { EXECUTION_LOCALITY } from '../backup/executionLocality.ts';
import { requireText } from '../backup/statementValues.ts';

const PASSPHRASE = 'encryption_passphrase';
export const INCREMENTAL_LOCATION = 'incremental_location';
export const DETACHED = 'detached';

const string = (value: string): Expr => ({ kind: 'string', value, pos: 0 });

/** The statement of the full backups; `detached` is one of its options. 22023 for a NULL, 42P01 for an unknown table. */
export async function scheduledStatement(
  context: StatementContext,
  parts: { readonly targets: BackupTargets; readonly into: UriList; readonly options: readonly Option[] },
): Promise<Backup> {
  const into = await literalUris(context, parts.into);
  const options = await literalOptions(context, parts.options);
  return {
    kind: 'backup',
    targets: qualified(await context.catalog(), parts.targets, context),
    destination: { type: 'into', uris: into },
    asOf: undefined,
    options: inOrder([...options.filter(({ name }) => name !== DETACHED), { name: DETACHED, value: undefined, pos: 0 }]),
    pos: 0,
  };
}

/** In which order CockroachDB prints options; others come last. */
const ORDER: readonly string[] = ['revision_history', PASSPHRASE, DETACHED, 'kms', INCREMENTAL_LOCATION, EXECUTION_LOCALITY];

export function inOrder(options: readonly Option[]): Option[] {
  const rank = ({ name }: Option): number => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
  return [...options].sort((a, b) => rank(a) - rank(b));
}

/** The statement of the incremental backups beside it. */
export function incrementalOf(full: Backup): Backup {
  const { destination } = full;
  const uris = destination.type === 'into' || destination.type === 'intoLatest' ? destination.uris : [];
  return { ...full, destination: { type: 'intoLatest', uris } };
}

/** The statement of the full backups, of which incremental_location is no option. */
export function fullOf(statement: Backup): Backup {
  return { ...statement, options: statement.options.filter(({ name }) => name !== INCREMENTAL_LOCATION) };
}

export function destinationOf({ destination }: Backup): UriList {
  return destination.type === 'into' || destination.type === 'intoLatest' ? destination.uris : [];
}

export async function literalUris(context: StatementContext, uris: UriList): Promise<UriList> {
  const literals: Expr[] = [];
  for (const uri of uris) literals.push(string(await requireText(context, uri, 'the location of a backup')));
  return literals;
}

/** Each value as a literal: of text, truth or a list of texts. */
export async function literalOptions(context: StatementContext, options: readonly Option[]): Promise<Option[]> {
  const literals: Option[] = [];
  for (const option of options) literals.push({ ...option, value: option.value && (await literal(context, option, option.value)), pos: 0 });
  return literals;
}

async function literal(context: StatementContext, option: Option, expr: Expr): Promise<Expr> {
  if (expr.kind === 'tuple') {
    const elements: Expr[] = [];
    for (const element of expr.elements) elements.push(await literal(context, option, element));
    return { ...expr, elements, pos: 0 };
  }
  if (expr.kind === 'column') return string((await context.evalString(expr)) ?? '');
  const { value } = await context.evalDatum(expr);
  if (value === null) {
    throw new StatementError(SqlState.InvalidParameterValue, `option ${option.name} must not be NULL`, {
      location: { position: option.pos + 1 },
    });
  }
  if (typeof value === 'boolean') return { kind: 'boolean', value, pos: 0 };
  if (typeof value === 'string') return string(utf8Decode(value as Bytes));
  throw new StatementError(SqlState.InvalidParameterValue, `option ${option.name} takes a string, or true or false`, {
    location: { position: option.pos + 1 },
  });
}

// ---- targets --------------------------------------------------------------------------------------

/** Tables by their full names: the session that runs the backup has no current database. */
function qualified(snapshot: CatalogSnapshot, targets: BackupTargets, context: StatementContext): BackupTargets {
  if (targets.type !== 'tables') return targets;
  return { ...targets, patterns: targets.patterns.flatMap((pattern) => qualifiedPattern(snapshot, pattern, context)) };
}

function qualifiedPattern(snapshot: CatalogSnapshot, pattern: TablePattern, { names }: StatementContext): TablePattern[] {
  const parts = pattern.parts.map(({ text }) => text);
  const named = (texts: readonly string[]): TablePattern => ({ ...pattern, parts: texts.map((text) => ({ text, pos: 0 })), pos: 0 });
  if (!pattern.star) {
    const found = snapshot.resolveTable(parts, names, { includeOffline: true })?.descriptor;
    if (found === undefined) throw new StatementError(SqlState.UndefinedTable, `table "${parts.join('.')}" does not exist`);
    return [named(snapshot.fullName(found))];
  }
  const current = names.currentDatabase === '' ? undefined : snapshot.database(names.currentDatabase);
  const [first] = parts;
  if (first === undefined) {
    const database = current ?? snapshot.requireDatabase(names.currentDatabase);
    return names.searchPath.flatMap((schema) => (snapshot.schema(database, schema) ? [named([database.name, schema])] : []));
  }
  if (parts.length === 1 && current && snapshot.schema(current, first)) return [named([current.name, first])];
  return [named(parts)];
}

// ---- texts ----------------------------------------------------------------------------------------

/** As the row keeps it: with every secret. */
export function storedText(statement: Backup): string {
  return printStatement(statement, { showSecrets: true });
}

/** As CREATE shows it to who has just written it: URIs whole, passphrases not. */
export function openText(statement: Backup): string {
  const options = statement.options.map((option) => (option.name === PASSPHRASE ? { ...option, value: string('*****') } : option));
  return storedText({ ...statement, options });
}

/** As everybody sees it from then on. */
export function redactedText(statement: Backup): string {
  return printStatement(statement);
}
