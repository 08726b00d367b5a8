/** The server that a command's flags name: --url, or --host, --port, --user, --insecure and --certs-dir as CockroachDB's commands have them. */
import type { Flags } from './flags.ts';
import { DEFAULT_URL, serverUrl } from './wireClient.ts';

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
