/** The server that a command's flags name: --url, or --host, --port, --user, --insecure and --certs-dir as CockroachDB's commands have them. */
import type { FlagDefinitions, Flags } from './flags.ts';
import { DEFAULT_URL, serverUrl } from './wireClient.ts';

/** For commands that are about a server's files. */
export const CONNECTION_FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', help: 'server to use; overrides the other connection flags' },
  host: { type: 'string', value: 'HOST[:PORT]', env: 'COCKROACH_HOST', help: 'server to use (default localhost:26257)' },
  port: { type: 'string', short: 'p', value: 'PORT', env: 'COCKROACH_PORT', help: 'its port' },
  user: { type: 'string', short: 'u', value: 'NAME', env: 'COCKROACH_USER', help: 'user of the connection (default root)' },
  insecure: { type: 'boolean', env: 'COCKROACH_INSECURE', help: 'a server without TLS' },
  'certs-dir': { type: 'string', value: 'DIR', env: 'COCKROACH_CERTS_DIR', help: "ca.crt, and the user's client certificate" },
};

/** --url overrides the others; without any of them it is localhost:26257. Throws UsageError. */
export function connectionUrl(flags: Flags, database: string | undefined): string {
  const change = { user: flags.text('user'), certsDir: flags.isSet('insecure') ? undefined : flags.text('certs-dir'), database };
  const given = flags.text('url');
  if (given !== undefined) return serverUrl(given, change);
  const { host, port } = flags.address('host', 'localhost', 26257);
  const url = new URL(DEFAULT_URL);
  url.hostname = host.includes(':') ? `[${host}]` : host;
  url.port = String(flags.integer('port', 1, 65535) ?? port);
  return serverUrl(url.href, change);
}
