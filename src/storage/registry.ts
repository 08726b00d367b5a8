/**
 * Registry: from a URI's scheme to the adapter that opens it. The server fills it once; nothing here
 * knows an adapter by name.
 */
import { StatementError } from '../base/errors.ts';
import type { MetricRegistry } from '../base/metrics.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ConnectionType } from '../catalog/externalConnections.ts';

import { checkServerRules, CONNECTION_SCHEME, type ExternalIoRules } from './access.ts';
import { type ConnectionSource, resolveConnection } from './external/connectionUri.ts';
import { underName } from './external/namedStorage.ts';
import { CloudMetrics, metered } from './cloudMetrics.ts';
import type { ExternalStorage, StorageContext, StorageFactory } from './externalStorage.ts';
import type { RateLimits } from './rateLimit.ts';
import { type RetryContext, withRetry } from './retry.ts';
import { SecretRegistry, type SecretServicesOptions } from './secretServices.ts';
import { ParsedUri } from './uri.ts';

export type StorageOpener = (uri: ParsedUri, context: StorageContext) => ExternalStorage;

/** Schemes that CockroachDB knows and a build of Varve may lack. */
const KNOWN_SCHEMES: ReadonlySet<string> = new Set([
  's3',
  'gs',
  'azure',
  'azure-blob',
  'azure-storage',
  'http',
  'https',
  'file-http',
  'file-https',
  CONNECTION_SCHEME,
  'nodelocal',
  'userfile',
]);

export class StorageRegistry implements StorageFactory {
  readonly secrets: SecretRegistry;
  readonly #openers = new Map<string, StorageOpener>();
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #retry: RetryContext | undefined;
  readonly #wrap: ((storage: ExternalStorage) => ExternalStorage) | undefined;
  readonly #metrics: CloudMetrics | undefined;
  readonly #limits: RateLimits | undefined;
  readonly #rules: ExternalIoRules;
  readonly #connections: ConnectionSource;

  /**
   * `secrets`: of their registry; `retry`: every opened storage retries as retry.ts says; `wrap` goes around the adapter, inside
   * the retry (fault injection); `rules`: what is refused at every opening; `connections`: what external:// names stand for;
   * `metrics`: where what storage does is counted; `limits`: its pace.
   */
  constructor(
    options: {
      retry?: RetryContext;
      wrap?: (storage: ExternalStorage) => ExternalStorage;
      secrets?: SecretServicesOptions;
      rules?: ExternalIoRules;
      connections?: ConnectionSource;
      metrics?: MetricRegistry;
      limits?: RateLimits;
    } = {},
  ) {
    this.#rules = options.rules ?? {};
    this.#connections = options.connections ?? new Map();
    this.secrets = new SecretRegistry({ ...options.secrets, admit: (uri) => this.#admit(uri, 'KMS') });
    this.#retry = options.retry;
    this.#wrap = options.wrap;
    this.#limits = options.limits;
    this.#metrics = options.metrics && new CloudMetrics(options.metrics);
  }

  register(scheme: string, opener: StorageOpener): void {
    this.#openers.set(scheme, opener);
  }

  /** Called when the registry closes: connections that openings share. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer);
  }

  /** Lets go of what all openings share. Those that are still in use fail. */
  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }

  open(uri: string | ParsedUri, context: StorageContext): ExternalStorage {
    const asked = typeof uri === 'string' ? ParsedUri.parse(uri) : uri;
    const parsed = this.#admit(asked, 'STORAGE');
    const opener = this.#openers.get(parsed.scheme);
    if (!opener) throw this.#unknownScheme(parsed);
    // An unreadable locality is the user's mistake wherever the URI is used.
    void parsed.locality;
    const adapter = opener(parsed, context);
    const wrapped = this.#wrap ? this.#wrap(adapter) : adapter;
    const limited = this.#limits?.wrap(wrapped, context.nodeId) ?? wrapped;
    const counted = this.#metrics ? metered(limited, this.#metrics) : limited;
    const storage = this.#retry ? withRetry(counted, this.#retry) : counted;
    return asked === parsed ? storage : underName(storage, asked);
  }

  /** What a URI stands for, once the server's rules let it be opened. */
  #admit(asked: ParsedUri, type: ConnectionType): ParsedUri {
    const uri = resolveConnection(asked, type, this.#connections);
    checkServerRules(uri, this.#rules);
    return uri;
  }

  #unknownScheme(uri: ParsedUri): StatementError {
    const hint = `this server opens ${[...this.#openers.keys()].map((scheme) => `${scheme}://`).join(', ')}`;
    return KNOWN_SCHEMES.has(uri.scheme)
      ? new StatementError(SqlState.FeatureNotSupported, `storage scheme "${uri.scheme}" is not supported yet`, { hint })
      : new StatementError(SqlState.InvalidParameterValue, `unsupported storage scheme: "${uri.scheme}" in "${uri}"`, { hint });
  }
}
