/**
 * CopyPort: how COPY reaches the client, whatever carries the bytes. The wire protocol's connection
 * gives its session one; a session without one refuses COPY.
 */
import type { Bytes } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';

/** What the client is told before the data: how it is written, and of how many columns. */
export interface CopyShape {
  readonly format: 'text' | 'binary';
  readonly columnCount: number;
}

export interface CopyPort {
  /**
   * Asks the client for data and gives it as it comes, in pieces of any size, until the client says
   * that it is done. Throws 57014 when the client gives up, and what the signal was aborted with.
   */
  receive(shape: CopyShape, signal: AbortSignal): AsyncIterable<Bytes>;
  /** Tells the client that data follows. */
  beginSend(shape: CopyShape): Promise<void>;
  /** Sends data; waits while the client does not take it. */
  send(data: Bytes): Promise<void>;
  endSend(): void;
}

/** The session's way to its client; 0A000 where there is none. */
export function portOf(session: { readonly copyPort: CopyPort | undefined }, statement: string): CopyPort {
  if (session.copyPort) return session.copyPort;
  throw new StatementError(SqlState.FeatureNotSupported, `${statement} is not supported here`, {
    hint: 'connect over the PostgreSQL protocol, which carries its data',
  });
}
