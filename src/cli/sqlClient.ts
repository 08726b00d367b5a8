/**
 * A SQL connection as the command line sees it: one statement at a time, every value as text.
 *
 * Two kinds stand behind it: a server over the wire (wireClient.ts) and a database in this very
 * process (embeddedClient.ts). Commands never know which.
 */
import type { TextResult } from './resultFormat.ts';

export interface ClientNotice {
  readonly severity: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export interface SqlClient {
  /** Runs one statement. Throws what the server reported, with `code`, `detail` and `hint`. */
  run(sql: string): Promise<TextResult>;
  /** Runs one statement with $1, $2, ... bound to text values. */
  runWith(sql: string, parameters: readonly (string | Buffer | null)[]): Promise<TextResult>;
  /** Asks the server to cancel what runs now; the run then throws 57014. */
  cancel(): Promise<void>;
  onNotice(listener: (notice: ClientNotice) => void): void;
  /** The user of the connection. */
  readonly user: string;
  close(): Promise<void>;
}

/** Type OIDs of the numeric types, which tables align right. */
export const NUMERIC_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);
