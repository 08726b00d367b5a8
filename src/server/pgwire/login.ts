/**
 * Login: who may begin a session, and how that is shown.
 *
 * Without certificates (the server then listens on loopback only) everybody is who they say they are.
 * With them:
 *
 *   L1  nothing but TLS, unless the server was told to take passwords without it
 *   L2  a client certificate of our CA logs in the user that it names, and no other
 *   L3  without one, a password, by SCRAM-SHA-256
 *   L4  an unknown user, one without a password and a wrong password get the same answer after the
 *       same exchange
 *
 * Whoever has shown who it is learns why it may not log in: NOLOGIN, or a password past VALID UNTIL.
 */
import { randomBytes } from 'node:crypto';

import { utf8Decode, type Bytes } from '../../base/bytes.ts';
import { VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { parseDatum } from '../../catalog/datumText.ts';
import { decoyVerifier, parseVerifier } from '../../catalog/scram.ts';
import { systemTable } from '../../catalog/systemRows.ts';
import { Type } from '../../catalog/type.ts';
import { ADMIN_ROLE, NODE_USER, PUBLIC_ROLE } from '../../catalog/privileges.ts';
import { passwordVerifier, userExists } from '../../catalog/users.ts';
import type { KvReader } from '../../kv/kv.ts';
import type { MessageWriter } from './backendMessages.ts';
import type { FrontendMessage } from './frontendMessages.ts';
import { SCRAM_MECHANISM, ScramExchange } from './scramExchange.ts';

/** How clients show who they are. */
export type LoginPolicy = 'trust' | 'certificates' | 'certificates or passwords without TLS';

/** `user`: its common name. `problem`: why it proves nothing, such as another CA. */
export interface ClientCertificate {
  readonly user: string;
  readonly problem: string | undefined;
}

/** What login asks of the connection. */
export interface LoginChannel {
  readonly isTls: boolean;
  /** What the client showed in the TLS handshake; undefined when that was nothing. */
  readonly certificate: ClientCertificate | undefined;
  readonly writer: MessageWriter;
  flush(): Promise<void>;
  next(): Promise<FrontendMessage>;
}

/** For users that have no verifier: constant for the life of the process, so that their salts are too. */
const DECOY_SECRET = randomBytes(32);

/** Names with power of which nobody is one. */
const NEVER: ReadonlySet<string> = new Set([ADMIN_ROLE, NODE_USER, PUBLIC_ROLE]);

/** Resolves when the user may log in. Throws 28000, 28P01 and 08P01, which end the connection. */
export async function login(reader: KvReader, policy: LoginPolicy, user: string, channel: LoginChannel, now: Timestamp): Promise<void> {
  const options = new Map(
    (await systemTable('role_options').scan(reader, user)).map((row) => [String(row['option']), row['value'] as string | null]),
  );
  if (policy !== 'trust') {
    if (!channel.isTls && policy === 'certificates') {
      throw new VarveError(SqlState.InvalidAuthorization, 'node is running secure mode, SSL connection required', {
        hint: 'connect with sslmode=verify-full',
      });
    }
    if (channel.certificate !== undefined) await checkCertificate(reader, channel.certificate, user);
    else await checkPassword(reader, user, channel, isExpired(options.get('VALID UNTIL'), now));
  }
  if (NEVER.has(user) || options.has('NOLOGIN') || options.has('NOSQLLOGIN')) {
    throw new VarveError(SqlState.InvalidAuthorization, `${user} does not have login privilege`);
  }
}

/** L2. */
async function checkCertificate(reader: KvReader, { user: named, problem }: ClientCertificate, user: string): Promise<void> {
  if (problem === undefined && named === user && (await userExists(reader, user))) return;
  const detail = problem ?? (named === user ? undefined : `the client certificate is for "${named}"`);
  throw new VarveError(SqlState.InvalidAuthorization, `certificate authentication failed for user "${user}"`, {
    ...(detail !== undefined && { detail }),
  });
}

function isExpired(validUntil: string | null | undefined, now: Timestamp): boolean {
  return typeof validUntil === 'string' && Number(parseDatum(Type.TimestampTz, validUntil)) <= now;
}

/** L3 and L4. */
async function checkPassword(reader: KvReader, user: string, channel: LoginChannel, expired: boolean): Promise<void> {
  const stored = await passwordVerifier(reader, user);
  const verifier = stored === undefined ? undefined : parseVerifier(stored);
  const exchange = new ScramExchange(verifier ?? decoyVerifier(user, DECOY_SECRET));
  const { writer } = channel;
  writer.authenticationSasl([SCRAM_MECHANISM]);
  writer.authenticationSaslContinue(exchange.first(text(initialResponse(await answer(channel)))));
  const final = exchange.final(text(await answer(channel)));
  if (final === undefined || !verifier || expired) {
    throw new VarveError(SqlState.InvalidPassword, `password authentication failed for user "${user}"`);
  }
  writer.authenticationSaslFinal(final);
}

/** Sends what has been written and waits for the client's next SASL message. */
async function answer(channel: LoginChannel): Promise<Bytes> {
  await channel.flush();
  const message = await channel.next();
  if (message.type !== 'password') {
    throw new VarveError(SqlState.ProtocolViolation, `expected SASL response, got message "${message.type}"`);
  }
  return message.body;
}

function text(body: Bytes): string {
  try {
    return utf8Decode(body);
  } catch {
    throw new VarveError(SqlState.ProtocolViolation, 'malformed SCRAM message: not UTF-8');
  }
}

/** The client's first message: the mechanism, a length, and the first SCRAM message. */
function initialResponse(body: Bytes): Bytes {
  const end = body.indexOf('\0');
  if (end < 0 || body.slice(0, end) !== SCRAM_MECHANISM) {
    throw new VarveError(SqlState.ProtocolViolation, 'client selected an invalid SASL authentication mechanism');
  }
  const length = Buffer.from(body.slice(end + 1, end + 5), 'latin1');
  const message = body.slice(end + 5) as Bytes;
  if (length.length < 4 || length.readInt32BE(0) !== message.length) {
    throw new VarveError(SqlState.ProtocolViolation, 'malformed SCRAM message: wrong length');
  }
  return message;
}
