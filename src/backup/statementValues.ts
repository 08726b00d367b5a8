/**
 * Statement values: what the backup statements share in reading their locations and options.
 */
import type { Bytes } from '../base/bytes.ts';
import { utf8Decode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Grantees } from '../catalog/privileges.ts';
import { rolesOf } from '../catalog/users.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Expr, Option } from '../sql/parse/ast.ts';
import { requireAccess } from '../storage/access.ts';

/** The text of a location, subdirectory or option value. 22023 for NULL, or for an empty text. */
export async function requireText(context: StatementContext, expr: Expr, what: string): Promise<string> {
  const text = await context.evalString(expr);
  if (text === undefined || text === '') {
    throw new StatementError(SqlState.InvalidParameterValue, `${what} must not be ${text === undefined ? 'NULL' : 'empty'}`, {
      location: { position: expr.pos + 1 },
    });
  }
  return text;
}

/** The texts of an option that takes one, or a list in parentheses. 22023 as requireText. */
export async function requireTexts(context: StatementContext, expr: Expr, what: string): Promise<string[]> {
  const texts: string[] = [];
  for (const item of expr.kind === 'tuple' ? expr.elements : [expr]) texts.push(await requireText(context, item, what));
  return texts;
}

/** Every name that the user goes by. */
export async function granteesOf(context: StatementContext): Promise<Grantees> {
  return await rolesOf(context.txn, context.user);
}

/** Throws 42501 when the user may not use a location. */
export async function checkLocationAccess(context: StatementContext, uris: readonly string[], grantees: Grantees): Promise<void> {
  await requireAccess(context.txn, grantees, uris, context.engine.externalIo, 'storage');
}

/** Options that exist elsewhere and not here yet: each is refused by name. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set([
  'include_all_virtual_clusters',
  'include_all_secondary_tenants',
  'revision stream',
  'include_deprecated_interleaves',
  'debug_dump_metadata_sst',
]);

/** The options by name. 42601 for one given twice or unknown, 0A000 for one that is not supported. */
export function readOptions(statement: string, options: readonly Option[], known: readonly string[]): ReadonlyMap<string, Option> {
  const found = new Map<string, Option>();
  for (const option of options) {
    const location = { position: option.pos + 1 };
    if (found.has(option.name)) {
      throw new StatementError(SqlState.SyntaxError, `option ${option.name} is given twice`, { location });
    }
    if (!known.includes(option.name)) {
      if (NOT_SUPPORTED.has(option.name)) {
        throw new StatementError(SqlState.FeatureNotSupported, `${statement} option ${option.name} is not supported yet`, { location });
      }
      throw new StatementError(SqlState.SyntaxError, `unknown ${statement} option "${option.name}"`, {
        location,
        hint: `options are ${known.join(', ')}`,
      });
    }
    found.set(option.name, option);
  }
  return found;
}

/** A switch: absent is false, a bare name true; a BOOL, or a STRING that reads as one. 22023 for anything else. */
export async function readSwitch(context: StatementContext, option: Option | undefined): Promise<boolean> {
  if (option === undefined) return false;
  if (option.value === undefined) return true;
  const { type, value } = await context.evalDatum(option.value);
  if (typeof value === 'boolean') return value;
  // A placeholder comes as text.
  const word =
    type.family === 'string' && value !== null
      ? utf8Decode(value as Bytes)
          .trim()
          .toLowerCase()
      : '';
  if (ON_WORDS.includes(word)) return true;
  if (OFF_WORDS.includes(word)) return false;
  throw new StatementError(SqlState.InvalidParameterValue, `option ${option.name} is true or false`, {
    location: { position: option.pos + 1 },
  });
}

const ON_WORDS = ['true', 't', 'on', 'yes', '1'];
const OFF_WORDS = ['false', 'f', 'off', 'no', '0'];

/** The same without running anything, for a statement's columns: an expression other than a literal counts as true. */
export function looksOn(options: readonly Option[], name: string): boolean {
  const option = options.find((candidate) => candidate.name === name);
  if (option === undefined) return false;
  const { value } = option;
  if (value?.kind === 'boolean') return value.value;
  if (value?.kind === 'string') return !OFF_WORDS.includes(value.value.trim().toLowerCase());
  return true;
}
