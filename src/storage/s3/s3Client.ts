/**
 * S3Client: calls of the official SDK for one location, each under a limit of silence and with its errors read. The
 * SDK is loaded, and credentials are looked for, at the first call.
 */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import { assumeRoles } from '../awsCredentials.ts';
import { connectionError } from '../http/httpError.ts';
import { loadOptional } from '../optionalPackage.ts';
import { type CallOptions, ProviderCalls, type ProviderEnvironment } from '../providerCalls.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';
import type { S3Options } from './s3Options.ts';

export type S3Sdk = typeof import('@aws-sdk/client-s3');
type Client = InstanceType<S3Sdk['S3Client']>;

/** What an answer means that is not the one asked for. */
export class S3Refusal extends Error {
  readonly status: number | undefined;
  readonly errorName: string;

  constructor(errorName: string, status: number | undefined) {
    super(errorName);
    this.errorName = errorName;
    this.status = status;
  }
}

export interface OpenedS3 {
  readonly sdk: S3Sdk;
  readonly client: Client;
}

export class S3Calls extends ProviderCalls<OpenedS3, S3Refusal> {
  readonly #options: S3Options;

  constructor(uri: ParsedUri, options: S3Options, environment: ProviderEnvironment) {
    super(uri, environment);
    this.#options = options;
  }

  protected shut({ client }: OpenedS3): void {
    client.destroy();
  }

  protected async open(): Promise<OpenedS3> {
    const sdk = await loadOptional('@aws-sdk/client-s3', 'storage in S3', () => import('@aws-sdk/client-s3'));
    const { region, endpoint, usesPathStyle, skipsChecksum } = this.#options;
    const place = { ...(region !== undefined && { region }), ...(endpoint !== undefined && { endpoint }) };
    const credentials = await assumeRoles(this.uri, { region: region ?? 'us-east-1', ...(endpoint !== undefined && { endpoint }) });
    const checksums = skipsChecksum ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
    const client = new sdk.S3Client({
      ...place,
      ...(credentials && { credentials }),
      forcePathStyle: usesPathStyle,
      followRegionRedirects: endpoint === undefined,
      requestChecksumCalculation: checksums,
      responseChecksumValidation: checksums,
      // retry.ts repeats, on its own clock.
      maxAttempts: 1,
      requestHandler: agents(this.environment),
    });
    return { sdk, client };
  }

  /** A StorageError that says what failed and how it goes on; nothing of the SDK's objects is kept, which hold requests. */
  protected errorOf({ operation, name }: CallOptions, error: unknown, handle: (refusal: S3Refusal) => StorageError | undefined): unknown {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status === undefined) {
      const broken = connectionError(this.uri, operation, name, error);
      if (broken) return broken;
    }
    if (!(error instanceof Error)) return error;
    const { name: errorName, message } = error;
    const known = handle(new S3Refusal(errorName, status));
    if (known) return known;
    const words = scrub(this.uri, message.split('\n', 1)[0] ?? '');
    const says = words === '' || words === errorName ? errorName : `${errorName}: ${words}`;
    return new StorageError(CODES[errorName] ?? SqlState.IoError, `cannot ${operation} "${name}" in "${this.uri}": ${says}`, {
      operation,
      redactedUri: String(this.uri),
      isRetryable: RETRYABLE.has(errorName) || (status !== undefined && isRetryableStatus(status) && status !== 501),
      hint: HINTS[errorName] ?? (status === 200 || errorName === 'SyntaxError' ? 'is AWS_ENDPOINT a service that speaks S3?' : undefined),
    });
  }
}

/** As the SDK would make them, but for the authorities that they trust besides, and their connections are counted. */
function agents({ customCa, connections }: ProviderEnvironment) {
  const http = process.getBuiltinModule('node:http');
  const https = process.getBuiltinModule('node:https');
  const ca = customCa?.() ?? '';
  const options = { keepAlive: true, maxSockets: 50 };
  const trusting = ca === '' ? {} : { ca: [...process.getBuiltinModule('node:tls').rootCertificates, ca] };
  const httpAgent = new http.Agent(options);
  const httpsAgent = new https.Agent({ ...options, ...trusting });
  return { httpAgent: connections?.watch(httpAgent, false) ?? httpAgent, httpsAgent: connections?.watch(httpsAgent, true) ?? httpsAgent };
}

const CODES: Readonly<Record<string, SqlState>> = {
  AccessDenied: SqlState.InsufficientPrivilege,
  InvalidAccessKeyId: SqlState.InsufficientPrivilege,
  SignatureDoesNotMatch: SqlState.InsufficientPrivilege,
  ExpiredToken: SqlState.InsufficientPrivilege,
  InvalidToken: SqlState.InsufficientPrivilege,
  Forbidden: SqlState.InsufficientPrivilege,
  '403': SqlState.InsufficientPrivilege,
  CredentialsProviderError: SqlState.InsufficientPrivilege,
  InvalidObjectState: SqlState.ObjectNotInPrerequisiteState,
  NotImplemented: SqlState.FeatureNotSupported,
};

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make the bucket first, or check its name and AWS_REGION',
  PermanentRedirect: 'the bucket is in another region: give AWS_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in another region: give AWS_REGION',
  InvalidObjectState: 'the file is archived: restore it in S3 first; classes GLACIER and DEEP_ARCHIVE do not go with incrementals',
  CredentialsProviderError: 'AUTH=implicit takes credentials from the environment of the server, which has none',
  InvalidAccessKeyId: 'check AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'check AWS_SECRET_ACCESS_KEY, percent-encoded',
  ExpiredToken: 'the temporary credentials have run out',
  RequestTimeTooSkewed: "the server's clock and that of S3 are too far apart",
};

/** The SDK corrects its clock by the answer, so that the next call is right. */
const RETRYABLE: ReadonlySet<string> = new Set([
  'SlowDown',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'InternalError',
  'OperationAborted',
  'ConditionalRequestConflict',
  'TimeoutError',
]);
