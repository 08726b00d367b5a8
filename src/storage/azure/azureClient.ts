/**
 * AzureClient: calls of the official SDK for one container. The SDK is loaded, and somebody signs in, at the first call.
 */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import { type AzureEndpoints, azureCredential } from '../azureCredentials.ts';
import { connectionError } from '../http/httpError.ts';
import { loadOptional } from '../optionalPackage.ts';
import { type CallOptions, ProviderCalls, type ProviderEnvironment } from '../providerCalls.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';
import type { AzureOptions } from './azureOptions.ts';

type Sdk = typeof import('@azure/storage-blob');
export type Container = InstanceType<Sdk['ContainerClient']>;

export interface AzureEnvironment extends ProviderEnvironment {
  /** Where one signs in; for tests. */
  readonly signIn?: AzureEndpoints;
}

/** What an answer means that is not the one asked for. */
export interface AzureRefusal {
  readonly status: number | undefined;
  /** Of the service, such as BlobNotFound. */
  readonly code: string;
}

const PURPOSE = 'storage in Azure';

export class AzureCalls extends ProviderCalls<Container, AzureRefusal> {
  readonly #options: AzureOptions;
  readonly #signIn: AzureEndpoints | undefined;

  constructor(uri: ParsedUri, options: AzureOptions, environment: AzureEnvironment) {
    super(uri, environment);
    this.#options = options;
    this.#signIn = environment.signIn;
  }

  protected async open(): Promise<Container> {
    const sdk = await loadOptional('@azure/storage-blob', PURPOSE, () => import('@azure/storage-blob'));
    const { account, key, serviceUrl, container, cloud } = this.#options;
    const credential =
      key === undefined
        ? await azureCredential(this.uri, PURPOSE, cloud.authorityHost, this.#signIn)
        : new sdk.StorageSharedKeyCredential(account, key);
    const customCa = this.environment.customCa?.() ?? '';
    const { rootCertificates } = process.getBuiltinModule('node:tls');
    const settings = {
      // retry.ts repeats, on its own clock.
      retryOptions: { maxTries: 1 },
      userAgentOptions: { userAgentPrefix: 'varve' },
      ...(customCa !== '' && { tlsOptions: { ca: [...rootCertificates, customCa] } }),
    };
    return new sdk.BlobServiceClient(serviceUrl, sdk.newPipeline(credential, settings)).getContainerClient(container);
  }

  /** The SDK's client holds nothing of its own. */
  protected shut(): void {}

  /** Nothing of the SDK's objects is kept, which hold requests. */
  protected errorOf(
    { operation, name }: CallOptions,
    error: unknown,
    handle: (refusal: AzureRefusal) => StorageError | undefined,
  ): unknown {
    if (!(error instanceof Error)) return error;
    const { statusCode: status, details } = error as { statusCode?: number; details?: Record<string, unknown> };
    if (status === undefined) {
      const broken = connectionError(this.uri, operation, name, error);
      if (broken) return broken;
    }
    // Whoever aborts is told so before this: a body that breaks off is an AbortError of the SDK, too.
    const isBroken = error.name === 'AbortError';
    const code = isBroken ? '' : codeOf(error);
    const known = handle({ status, code });
    if (known) return known;
    // What one who signs in is told has no status of its own.
    const isSignIn = /^(?:Authentication|CredentialUnavailable|AggregateAuthentication)/.test(error.name);
    const detail = typeof details?.authenticationErrorDetail === 'string' ? ` (${details.authenticationErrorDetail})` : '';
    const message = isBroken ? 'the connection broke' : (error.message.split('\n', 1)[0]?.trim() ?? '');
    const words = scrub(this.uri, `${message}${detail}`);
    const says = [code, words].filter((part) => part !== '').join(': ') || `the service answered ${status}`;
    const sqlState = isSignIn ? SqlState.InsufficientPrivilege : (CODES[code] ?? STATUS_CODES[status ?? 0] ?? SqlState.IoError);
    return new StorageError(sqlState, `cannot ${operation} "${name}" in "${this.uri}": ${says}`, {
      operation,
      redactedUri: String(this.uri),
      isRetryable: isBroken || (!isSignIn && status !== undefined && isRetryableStatus(status) && status !== 501 && status !== 505),
      hint: HINTS[code] ?? (isSignIn ? SIGN_IN_HINT : isStranger(code, status) ? STRANGER_HINT : undefined),
    });
  }
}

function codeOf(error: Error): string {
  const { code, details } = error as { code?: unknown; details?: { errorCode?: unknown; Code?: unknown; code?: unknown } };
  const given = [code, details?.errorCode, details?.Code, details?.code].find((one) => typeof one === 'string' && one !== '');
  return typeof given === 'string' ? given : error.name === 'RestError' || error.name === 'Error' ? '' : error.name;
}

/** An answer that no blob service gives. */
function isStranger(code: string, status: number | undefined): boolean {
  return code === 'PARSE_ERROR' || code === 'RangeError' || (code === '' && status !== undefined && status < 500);
}

const SIGN_IN_HINT = 'check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or with AUTH=implicit the environment of the server';
const STRANGER_HINT = "is AZURE_ENDPOINT a blob service? With Azurite it ends in the account's name: http://host:10000/devstoreaccount1";

const CODES: Readonly<Record<string, SqlState>> = {
  BlobArchived: SqlState.ObjectNotInPrerequisiteState,
  BlobImmutableDueToPolicy: SqlState.ObjectNotInPrerequisiteState,
};

const STATUS_CODES: Readonly<Record<number, SqlState>> = {
  401: SqlState.InsufficientPrivilege,
  403: SqlState.InsufficientPrivilege,
  413: SqlState.ProgramLimitExceeded,
  501: SqlState.FeatureNotSupported,
};

const HINTS: Readonly<Record<string, string>> = {
  ContainerNotFound: 'make the container first, or check its name: the host of the URI',
  AuthenticationFailed: "check AZURE_ACCOUNT_KEY, percent-encoded, and the server's clock",
  InvalidAuthenticationInfo: 'check AZURE_ACCOUNT_NAME and how the URI signs in',
  AuthorizationFailure: 'the firewall of the storage account, or its rules, do not let this server in',
  AuthorizationPermissionMismatch: 'the app registration needs the role Storage Blob Data Contributor',
  KeyBasedAuthenticationNotPermitted: 'the account takes no keys: use an app registration or AUTH=implicit',
  BlobArchived: 'the file is in the archive tier: rehydrate it first',
  ENOTFOUND: 'check AZURE_ACCOUNT_NAME and AZURE_ENVIRONMENT',
};
