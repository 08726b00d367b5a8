/**
 * Google credentials: who signs in for a URI: the service account of CREDENTIALS, a token, or the server's environment,
 * and service accounts that are acted as on top, through one another.
 *
 * Google's library asks for tokens once: retry.ts repeats, on its own clock.
 */
import { assumedRoles, authMode, invalid } from './authParameter.ts';
import { loadOptional } from './optionalPackage.ts';
import type { ParsedUri } from './uri.ts';

type Auth = typeof import('google-auth-library');
export type GoogleAuthClient = InstanceType<Auth['OAuth2Client']> | InstanceType<Auth['Impersonated']>;

export interface ServiceAccountKey {
  readonly client_email: string;
  readonly private_key: string;
}

export interface GoogleSignIn {
  /** What for, should the package be missing. */
  readonly purpose: string;
  readonly scope: string;
  readonly account: ServiceAccountKey | undefined;
  /** URL of a server that stands for Google's, which hand out tokens; undefined: Google's. */
  readonly endpoint: string | undefined;
}

const TOKEN_ORIGIN = 'https://oauth2.googleapis.com';
const IMPERSONATION_SECONDS = 3600;

/** The service account of CREDENTIALS; undefined with other credentials. 22023 when it is none. */
export function serviceAccount(uri: ParsedUri): ServiceAccountKey | undefined {
  const text = uri.parameters.get('CREDENTIALS');
  if (authMode(uri) === 'implicit') return undefined;
  if (text === undefined || text === '') {
    if (uri.parameters.get('BEARER_TOKEN')) return undefined;
    throw invalid(
      'CREDENTIALS or BEARER_TOKEN must be set if "AUTH" is "specified"',
      uri,
      'CREDENTIALS is a service account key, base64-encoded',
    );
  }
  const key = serviceAccountOf(Buffer.from(text.replaceAll(' ', '+'), 'base64').toString('utf8'));
  if (key !== undefined) return key;
  // Without a word of what it holds.
  throw invalid('error getting credentials from CREDENTIALS', uri, 'CREDENTIALS is the JSON key of a service account, base64-encoded');
}

/** Undefined when the JSON is not the key of a service account. */
export function serviceAccountOf(json: string): ServiceAccountKey | undefined {
  try {
    const key = JSON.parse(json) as Partial<ServiceAccountKey> | null;
    if (typeof key?.client_email !== 'string' || typeof key.private_key !== 'string') return undefined;
    return { client_email: key.client_email, private_key: key.private_key };
  } catch {
    return undefined;
  }
}

/** Who asks for tokens. With an account or a token of the URI it touches no network. */
export async function googleAuthClient(uri: ParsedUri, signIn: GoogleSignIn): Promise<GoogleAuthClient> {
  const { purpose, scope, account, endpoint } = signIn;
  const auth = await loadOptional('google-auth-library', purpose, () => import('google-auth-library'));
  const transporter = transporterOf(auth, endpoint);
  const token = uri.parameters.get('BEARER_TOKEN');
  let source: GoogleAuthClient;
  if (account !== undefined) {
    source = new auth.JWT({ email: account.client_email, key: account.private_key, scopes: [scope], transporter });
  } else if (token) {
    source = new auth.OAuth2Client({ transporter });
    source.setCredentials({ access_token: token });
  } else {
    source = (await new auth.GoogleAuth({ scopes: [scope], clientOptions: { transporter } }).getClient()) as GoogleAuthClient;
  }
  const roles = assumedRoles(uri);
  const last = roles.at(-1);
  if (last === undefined) return source;
  return new auth.Impersonated({
    sourceClient: source,
    targetPrincipal: last.role,
    delegates: roles.slice(0, -1).map(({ role }) => role),
    targetScopes: [scope],
    lifetime: IMPERSONATION_SECONDS,
    ...(endpoint !== undefined && { endpoint }),
    transporter,
  });
}

/** Sends each request of the library once, those for tokens to `endpoint`. */
function transporterOf(auth: Auth, endpoint: string | undefined) {
  const transporter = new auth.gaxios.Gaxios();
  const request = transporter.request.bind(transporter);
  transporter.request = (options) => {
    const url = String(options?.url ?? '');
    const isToken = endpoint !== undefined && url.startsWith(TOKEN_ORIGIN);
    return request({
      ...options,
      retry: false,
      retryConfig: { retry: 0, noResponseRetries: 0, httpMethodsToRetry: [] },
      ...(isToken && { url: endpoint + url.slice(TOKEN_ORIGIN.length) }),
    });
  };
  return transporter;
}
