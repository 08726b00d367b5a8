/**
 * CopyStream: COPY over a connection. While data comes in, the messages that arrive are this
 * statement's; everything else about them (order, back pressure, the end) is the connection's.
 *
 * Source: PostgreSQL documentation, "Message Flow", "COPY Operations".
 */
import type { Bytes } from '../../base/bytes.ts';
import { StateError, VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CopyPort, CopyShape } from '../../sql/exec/copy/port.ts';
import type { MessageWriter } from './backendMessages.ts';
import type { FrontendMessage } from './frontendMessages.ts';

/** What COPY needs of its connection. */
export interface CopyChannel {
  readonly writer: MessageWriter;
  /** Resolves when the results of the statements before are written. */
  settled(): Promise<unknown>;
  /** Sends what has gathered, when it is much or `all` is asked for; waits while the client does not take it. */
  flush(all: boolean): Promise<void>;
  /** The next message, when it has come. Throws when the signal aborts or the client goes away. */
  next(signal: AbortSignal): Promise<FrontendMessage>;
}

export class CopyStream implements CopyPort {
  readonly #channel: CopyChannel;

  constructor(channel: CopyChannel) {
    this.#channel = channel;
  }

  async *receive(shape: CopyShape, signal: AbortSignal): AsyncGenerator<Bytes> {
    const { writer } = this.#channel;
    await this.#channel.settled();
    writer.copyResponse('in', shape.format, shape.columnCount);
    await this.#channel.flush(true);
    for (;;) {
      const message = await this.#channel.next(signal);
      switch (message.type) {
        case 'copyData':
          yield message.body;
          break;
        case 'copyDone':
          return;
        case 'copyFail':
          throw new StateError(SqlState.QueryCanceled, `COPY from stdin failed: ${message.reason}`);
        case 'flush':
        case 'sync':
          break;
        case 'badText':
          throw message.error;
        default:
          throw new VarveError(SqlState.ProtocolViolation, `unexpected message "${message.type}" during COPY from stdin`);
      }
    }
  }

  async beginSend(shape: CopyShape): Promise<void> {
    await this.#channel.settled();
    this.#channel.writer.copyResponse('out', shape.format, shape.columnCount);
  }

  async send(data: Bytes): Promise<void> {
    this.#channel.writer.copyData(data);
    await this.#channel.flush(false);
  }

  endSend(): void {
    this.#channel.writer.copyDone();
  }
}
