/**
 * CREATE, ALTER and DROP EXTERNAL CONNECTION.
 *
 *   X1  a URI becomes a connection only when it works: storage takes, lists and gives back a file, a key decrypts
 *       what it encrypted
 *   X2  who may create connections (EXTERNALCONNECTION) decides what they reach, the server's own files and
 *       credentials included: that is what the privilege is for. Who may only change one (UPDATE) gives it
 *       nothing that he may not use himself
 *   X3  a change counts for what is opened from then on. A job that runs goes on with what it has open, and takes the
 *       new URI when it resumes; it begins anew or fails there, and fails when the connection is gone
 *
 * Error texts are CockroachDB's.
 */
import { isVarveError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import {
  alterConnection,
  createConnection,
  dropConnection,
  type ExternalConnection,
  readConnection,
} from '../../../catalog/externalConnections.ts';
import { hasSystemPrivilege, requireConnectionPrivilege } from '../../../catalog/globalPrivileges.ts';
import { requireAccess } from '../../../storage/access.ts';
import { type ConnectionKind, kindOfConnection } from '../../../storage/external/connectionKinds.ts';
import { noConnection } from '../../../storage/external/connectionUri.ts';
import { probeKms, probeStorage } from '../../../storage/external/probe.ts';
import type { StorageFactory } from '../../../storage/externalStorage.ts';
import { ParsedUri } from '../../../storage/uri.ts';
import type { AlterExternalConnection, CreateExternalConnection, DropExternalConnection, Expr } from '../../parse/ast.ts';
import type { HookResult, StatementContext } from '../statement.ts';

const NAME_CHARS_MAX = 128;

export async function runCreate(storage: StorageFactory, context: StatementContext, stmt: CreateExternalConnection): Promise<HookResult> {
  const tag = 'CREATE EXTERNAL CONNECTION';
  if (!(await hasSystemPrivilege(context.txn, await context.roles(), 'EXTERNALCONNECTION'))) {
    throw new StatementError(
      SqlState.InsufficientPrivilege,
      'only users with the EXTERNALCONNECTION system privilege are allowed to CREATE EXTERNAL CONNECTION',
    );
  }
  const name = await requireText(context, stmt.name, 'the name of an external connection');
  const text = await requireText(context, stmt.uri, 'the URI of an external connection');
  if (stmt.ifNotExists && (await readConnection(context.txn, name))) return { tag };
  checkNewName(name, stmt.name);
  const { type, provider } = await construct(storage, context, text);
  await createConnection(context.txn, { name, type, provider, uri: text, owner: context.user });
  return { tag };
}

export async function runAlter(storage: StorageFactory, context: StatementContext, stmt: AlterExternalConnection): Promise<HookResult> {
  const tag = 'ALTER EXTERNAL CONNECTION';
  const roles = await context.roles();
  const name = await requireText(context, stmt.name, 'the name of an external connection');
  const text = await requireText(context, stmt.uri, 'the URI of an external connection');
  const before = await readConnection(context.txn, name);
  if (before === undefined && stmt.ifExists) return { tag };
  await requireConnectionPrivilege(context.txn, roles, name, 'UPDATE');
  if (before === undefined) throw noConnection(name);
  if (!(await hasSystemPrivilege(context.txn, roles, 'EXTERNALCONNECTION'))) {
    const what = before.type === 'KMS' ? 'keys' : 'storage';
    await requireAccess(context.txn, roles, [text], context.engine.externalIo, what);
  }
  const { type, provider } = await construct(storage, context, text);
  if (type !== before.type) throw otherType(before, type);
  await alterConnection(context.txn, { ...before, provider, uri: text });
  return { tag };
}

function otherType({ name, type }: ExternalConnection, wanted: string): StatementError {
  return new StatementError(
    SqlState.InvalidParameterValue,
    `external connection "${name}" is of type ${type}, the new URI of type ${wanted}`,
    {
      hint: 'create another connection',
    },
  );
}

/** A connection that is not there is dropped already, as in CockroachDB; the privilege is looked at first. */
export async function runDrop(context: StatementContext, stmt: DropExternalConnection): Promise<HookResult> {
  const name = await requireText(context, stmt.name, 'the name of an external connection');
  await requireConnectionPrivilege(context.txn, await context.roles(), name, 'DROP');
  await dropConnection(context.txn, name);
  return { tag: 'DROP EXTERNAL CONNECTION' };
}

/** What the URI is to, once it has been opened and used (X1). */
async function construct(storage: StorageFactory, context: StatementContext, text: string): Promise<ConnectionKind> {
  let label = '';
  try {
    const uri = ParsedUri.parse(text);
    const kind = kindOfConnection(uri);
    label = `failed to create ${kind.label} external connection: `;
    if (kind.type === 'KMS') await probeKey(storage, context, uri);
    else await probePlace(storage, context, uri);
    return kind;
  } catch (error) {
    if (isVarveError(error)) error.message = `failed to construct External Connection details: ${label}${error.message}`;
    throw error;
  }
}

async function probePlace(factory: StorageFactory, context: StatementContext, uri: ParsedUri): Promise<void> {
  const storage = factory.open(uri, { user: context.user, nodeId: context.session.nodeId });
  try {
    await probeStorage(storage, context.signal);
  } finally {
    await storage.close();
  }
}

async function probeKey(factory: StorageFactory, context: StatementContext, uri: ParsedUri): Promise<void> {
  const kms = factory.secrets.openKms(uri, { user: context.user });
  try {
    await probeKms(kms, context.signal);
  } finally {
    await kms.close();
  }
}

/** 22023 for NULL and for nothing. */
export async function requireText(context: StatementContext, expr: Expr, what: string): Promise<string> {
  const text = await context.evalString(expr);
  if (text !== undefined && text !== '') return text;
  throw new StatementError(SqlState.InvalidParameterValue, `${what} must not be ${text === undefined ? 'NULL' : 'empty'}`, {
    location: { position: expr.pos + 1 },
  });
}

/** A name stands where a URI has its host. */
function checkNewName(name: string, { pos }: Expr): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  const isPlain = name.length <= NAME_CHARS_MAX && name.isWellFormed() && !/[\x00-\x1f\x7f]/.test(name);
  if (isPlain) return;
  throw new StatementError(SqlState.InvalidParameterValue, 'the name of an external connection is too long, or has control characters', {
    hint: `at most ${NAME_CHARS_MAX} characters`,
    location: { position: pos + 1 },
  });
}
