/**
 * ResultRows: rows on their way to one client, as fast as it takes them.
 *
 *   RR1  no more than a flush of encoded rows waits, and what has been pulled: a client that does not
 *        read stops the statement that makes the rows, and costs no memory
 *
 * Rows of a result that was held whole come by write(). A large one is not: the statement gives it in
 * pieces to stream(), and goes on when the client has taken them.
 *
 * Lives elsewhere: when a result streams (../../sql/exec/cursor.ts), datums as bytes (wireValues.ts).
 */
import { StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { TextContext } from '../../catalog/datumText.ts';
import { keptRows } from '../../sql/exec/keptRows.ts';
import type { RowStream } from '../../sql/exec/rowStream.ts';
import type { EngineServices, ResultColumn } from '../../sql/exec/statement.ts';
import type { MessageWriter } from './backendMessages.ts';
import type { WireFormat } from './frontendMessages.ts';
import { type RowEncoder, rowDescriptionOf, rowEncoder } from './wireValues.ts';

/** Answers are flushed at this size even when the client has not asked. */
export const FLUSH_BYTES = 64 * 1024;

/** What rows need of their connection. */
export interface RowChannel {
  readonly writer: MessageWriter;
  readonly isEnded: boolean;
  engine(): EngineServices;
  /** How values look to the client at present. */
  textContext(): TextContext;
  /** Sends what has gathered; gives a promise while the client does not take it. */
  flush(): Promise<void> | undefined;
  /** Resolves when the results before are written. */
  settled(): Promise<unknown>;
}

export class ResultRows {
  readonly #channel: RowChannel;
  /** Encoders of results in text, while the text context is the same. */
  readonly #encoders = new WeakMap<readonly ResultColumn[], { readonly context: TextContext; readonly encode: RowEncoder }>();

  constructor(channel: RowChannel) {
    this.#channel = channel;
  }

  /** Writes rows; gives a promise when the client has to take some before the others are written. */
  write(columns: readonly ResultColumn[], rows: readonly Datum[][], formats: readonly WireFormat[]): Promise<void> | undefined {
    if (rows.length === 0) return undefined;
    const { writer } = this.#channel;
    const encode = this.#encoderOf(columns, formats);
    for (let i = 0; i < rows.length; i++) {
      writer.dataRow(encode(rows[i] as Datum[]));
      if (writer.length >= FLUSH_BYTES) return this.#more(rows, i + 1, encode);
    }
    return undefined;
  }

  /** Where a statement gives the rows of a large result; `isDescribed`: the client knows its columns. */
  stream(formats: readonly WireFormat[], isDescribed: boolean): RowStream {
    const channel = this.#channel;
    let hasBegun = false;
    return {
      get hasBegun() {
        return hasBegun;
      },
      write: async (columns, rows) => {
        if (!hasBegun) {
          hasBegun = true;
          await channel.settled();
          if (!isDescribed) channel.writer.ready(rowDescriptionOf(columns, formats));
        }
        await this.write(columns, rows, formats);
        if (channel.isEnded) throw new StateError(SqlState.ConnectionFailure, 'the client went away');
      },
    };
  }

  /** Goes on writing rows at a place, as fast as the client takes them; until then all of them count as held. */
  async #more(rows: readonly Datum[][], from: number, encode: RowEncoder): Promise<void> {
    const channel = this.#channel;
    const { writer } = channel;
    const waiting = keptRows({ context: { engine: channel.engine() } }, 'results', true);
    waiting.add(rows);
    try {
      await channel.flush();
      for (let i = from; i < rows.length && !channel.isEnded; i++) {
        writer.dataRow(encode(rows[i] as Datum[]));
        if (writer.length >= FLUSH_BYTES) await channel.flush();
      }
    } finally {
      waiting.release();
    }
  }

  #encoderOf(columns: readonly ResultColumn[], formats: readonly WireFormat[]): RowEncoder {
    const context = this.#channel.textContext();
    if (formats.length > 0) return rowEncoder(columns, formats, context);
    let known = this.#encoders.get(columns);
    if (known?.context !== context) {
      known = { context, encode: rowEncoder(columns, formats, context) };
      this.#encoders.set(columns, known);
    }
    return known.encode;
  }
}
