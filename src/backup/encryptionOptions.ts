/**
 * Encryption options: `encryption_passphrase` and `kms`, as every statement has them that reads or writes
 * backups. Their values are never printed.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { quoteLiteral } from '../catalog/names.ts';
import type { Grantees } from '../catalog/privileges.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Expr, Option } from '../sql/parse/ast.ts';
import { requireAccess } from '../storage/access.ts';
import { redactUri } from '../storage/uri.ts';

import type { EncryptionSecrets } from './keyring.ts';
import type { LocationDetails } from './locationDetails.ts';
import { granteesOf, requireText, requireTexts } from './statementValues.ts';

const PASSPHRASE = 'encryption_passphrase';
const KMS = 'kms';
export const ENCRYPTION_OPTIONS = [PASSPHRASE, KMS] as const;

/** What opens encrypted backups, as a part of a location. */
export type LocationSecrets = Pick<LocationDetails, 'secrets'>;

/** What of a location the options say: to be spread into it. 22023, 42501. */
export async function readEncryption(context: StatementContext, options: ReadonlyMap<string, Option>): Promise<LocationSecrets> {
  if (!ENCRYPTION_OPTIONS.some((name) => options.has(name))) return {};
  const secrets = await readSecrets(context, options, await granteesOf(context));
  return secrets === undefined ? {} : { secrets };
}

/** Undefined without either option. 22023 for both, for none of a value, and for URIs that are none; 42501. */
async function readSecrets(
  context: StatementContext,
  options: ReadonlyMap<string, Option>,
  grantees: Grantees,
): Promise<EncryptionSecrets | undefined> {
  const [passphrase, kms] = [options.get(PASSPHRASE), options.get(KMS)];
  if (passphrase !== undefined && kms !== undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, 'cannot have both encryption_passphrase and kms option set', {
      location: { position: kms.pos + 1 },
      hint: 'a backup is encrypted with one passphrase, or with one or more KMS keys',
    });
  }
  if (passphrase !== undefined) {
    return { type: 'passphrase', passphrase: await requireText(context, optionValue(passphrase), `option ${PASSPHRASE}`) };
  }
  if (kms === undefined) return undefined;
  const uris = await requireTexts(context, optionValue(kms), `option ${KMS}`);
  await checkKmsAccess(context, uris, grantees);
  return { type: 'kms', uris };
}

/** 22023 for what is no URI; 42501 when the user may not use a key. */
export async function checkKmsAccess(context: StatementContext, uris: readonly string[], grantees: Grantees): Promise<void> {
  await requireAccess(context.txn, grantees, uris, context.engine.externalIo, 'keys');
}

export function optionValue(option: Option): Expr {
  if (option.value !== undefined) return option.value;
  throw new StatementError(SqlState.SyntaxError, `option ${option.name} needs a value`, { location: { position: option.pos + 1 } });
}

/** The options as a job's description has them. */
export function secretsText(secrets: EncryptionSecrets | undefined): string[] {
  if (secrets === undefined) return [];
  if (secrets.type !== 'kms') return [`${PASSPHRASE} = '*****'`];
  const uris = secrets.uris.map((uri) => quoteLiteral(redactUri(uri)));
  return [`${KMS} = ${uris.length === 1 ? uris[0] : `(${uris.join(', ')})`}`];
}
