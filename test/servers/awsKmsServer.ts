/**
 * AWS KMS and STS on loopback: JSON 1.1 (`X-Amz-Target: TrentService.Encrypt`) and the Query protocol
 * (`Action=AssumeRole`), each request's Signature Version 4 checked against the secret key.
 */
import { createHash, createHmac } from 'node:crypto';

import { type Answer, json, type Request, startServer, type TestServer } from './httpServer.ts';
import { WrappingKeys } from './wrappingKeys.ts';

export interface AwsAccount {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface AwsKmsServer extends TestServer {
  readonly keys: WrappingKeys;
  /** Answers everything with this status until it is undefined again. */
  readonly state: { failWith: number | undefined };
}

/** `roles`: those that the account may assume, one after the other, with the external id that each asks for. */
export async function startAwsKms(options: {
  readonly account: AwsAccount;
  readonly keys: readonly string[];
  readonly roles?: Readonly<Record<string, string | undefined>>;
}): Promise<AwsKmsServer> {
  const keys = new WrappingKeys(...options.keys);
  const accounts = new Map<string, AwsAccount>([[options.account.accessKeyId, options.account]]);
  const state: { failWith: number | undefined } = { failWith: undefined };
  const server = await startServer((request) => {
    if (state.failWith !== undefined) return error(state.failWith, 'KMSInternalException', 'the service is not itself today');
    const refusal = checkSignature(request, accounts);
    if (refusal !== undefined) return refusal;
    const target = request.headers['x-amz-target'];
    if (target === undefined) return assumeRole(new URLSearchParams(request.body.toString()), accounts, options.roles ?? {});
    const input = JSON.parse(request.body.toString()) as { KeyId: string; Plaintext?: string; CiphertextBlob?: string };
    const key = keys.keys.get(input.KeyId);
    if (key === undefined) return error(400, 'NotFoundException', `Key '${input.KeyId}' does not exist`);
    if (key === 'disabled') return error(400, 'DisabledException', `${input.KeyId} is disabled.`);
    if (target === 'TrentService.Encrypt') {
      const blob = keys.encrypt(input.KeyId, Buffer.from(input.Plaintext ?? '', 'base64'));
      return amz({ CiphertextBlob: blob.toString('base64'), KeyId: input.KeyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    }
    if (target === 'TrentService.Decrypt') {
      const plain = keys.decrypt(input.KeyId, Buffer.from(input.CiphertextBlob ?? '', 'base64'));
      if (plain === undefined)
        return error(400, 'IncorrectKeyException', 'The key ID in the request does not identify a CMK that can perform this operation.');
      return amz({ Plaintext: plain.toString('base64'), KeyId: input.KeyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    }
    return error(400, 'UnknownOperationException', String(target));
  });
  return Object.assign(server, { keys, state });
}

const amz = (body: unknown): Answer => json(200, body, { 'content-type': 'application/x-amz-json-1.1' });
const error = (status: number, type: string, message: string): Answer =>
  json(status, { __type: type, message }, { 'content-type': 'application/x-amz-json-1.1' });

function assumeRole(
  query: URLSearchParams,
  accounts: Map<string, AwsAccount>,
  roles: Readonly<Record<string, string | undefined>>,
): Answer {
  const role = query.get('RoleArn') ?? '';
  const xml = (status: number, body: string) => ({ status, headers: { 'content-type': 'text/xml' }, body });
  if (query.get('Action') !== 'AssumeRole' || !(role in roles) || (roles[role] ?? null) !== query.get('ExternalId')) {
    return xml(
      403,
      `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole on ${role}</Message></Error></ErrorResponse>`,
    );
  }
  const assumed = { accessKeyId: `ASIA${accounts.size}`, secretAccessKey: `secret of ${role}`, sessionToken: `token of ${role}` };
  accounts.set(assumed.accessKeyId, assumed);
  return xml(
    200,
    `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>r:varve</AssumedRoleId><Arn>${role}</Arn></AssumedRoleUser><Credentials><AccessKeyId>${assumed.accessKeyId}</AccessKeyId><SecretAccessKey>${assumed.secretAccessKey}</SecretAccessKey><SessionToken>${assumed.sessionToken}</SessionToken><Expiration>2200-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
  );
}

/** Undefined when the request is signed by one of the accounts. Source: AWS, "Signature Version 4 signing process". */
function checkSignature(request: Request, accounts: ReadonlyMap<string, AwsAccount>): Answer | undefined {
  const header = request.headers.authorization ?? '';
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/(kms|sts)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (match === null) return error(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token');
  const [, id = '', date = '', region = '', service = '', signedHeaders = '', signature] = match;
  const account = accounts.get(id);
  if (account === undefined || account.sessionToken !== request.headers['x-amz-security-token']) {
    return error(400, 'UnrecognizedClientException', 'The security token included in the request is invalid.');
  }
  const hash = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const headers = signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const canonical = [
    request.method,
    request.url.pathname,
    request.url.search.slice(1),
    headers.join(''),
    signedHeaders,
    hash(request.body),
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, hash(canonical)].join('\n');
  const key = ['aws4_request'].reduce(hmac, hmac(hmac(hmac(`AWS4${account.secretAccessKey}`, date), region), service));
  if (createHmac('sha256', key).update(text).digest('hex') === signature) return undefined;
  return error(403, 'InvalidSignatureException', 'The request signature we calculated does not match the signature you provided.');
}
