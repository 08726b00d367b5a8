/**
 * Connection: one client of the Postgres protocol, from its first byte to its last.
 *
 * Messages are handled strictly one after another. Answers gather in a buffer that is flushed when
 * the client waits for it (ReadyForQuery, Flush) or when it has grown large; while the socket is
 * full, neither the next row nor the next message is looked at, and a client that sends far ahead is
 * not read: a slow or hasty client slows itself only.
 *
 *   P1  every query cycle ends with exactly one ReadyForQuery
 *   P2  after an error in the extended protocol everything up to Sync is skipped
 *   P3  messages up to Sync are one implicit transaction, unless BEGIN makes it explicit; when Sync has
 *       arrived behind an Execute, the commit precedes its CommandComplete, else it is Sync's
 *   P4  bytes that are not the protocol end the connection, never the server
 *
 * Lives elsewhere: bytes to messages (frontendMessages.ts), messages to bytes (backendMessages.ts),
 * datums on the wire (wireValues.ts), listening and cancel keys (pgServer.ts).
 * Source: PostgreSQL documentation, "Message Flow".
 */
import type { Socket } from 'node:net';

import { isVarveError, StateError, StatementError, VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { TextContext } from '../../catalog/datumText.ts';
import { type ColumnType, typeOfOid } from '../../catalog/type.ts';
import { type KeptRows, keptRows } from '../../sql/exec/keptRows.ts';
import type { Session, SessionOptions } from '../../sql/exec/session.ts';
import type { Notice, ResultColumn, StatementResult } from '../../sql/exec/statement.ts';
import { userTypeOfOid } from '../../sql/exec/oidNames.ts';
import { textContextOf } from '../../sql/exec/textContext.ts';
import { MessageWriter, type ReportFields } from './backendMessages.ts';
import { CopyStream } from './copyStream.ts';
import { type FrontendMessage, MessageReader, type WireFormat } from './frontendMessages.ts';
import { startupSession } from './startup.ts';
import { decodeParameter, describeColumns, formatAt, rowEncoder } from './wireValues.ts';

/** What a connection asks of the server it belongs to. */
export interface ConnectionHost {
  /** Opens a session, or throws what the client is told before the connection ends (3D000 for an unknown database). */
  openSession(options: SessionOptions): Promise<Session>;
  /** Registers a connection that can be cancelled; returns its keys. */
  register(connection: Connection): { processId: number; secretKey: number };
  /** A CancelRequest; wrong keys do nothing, and nothing is answered. */
  cancel(processId: number, secretKey: number): void;
  unregister(connection: Connection): void;
}

/** Answers are flushed at this size even when the client has not asked. */
const FLUSH_BYTES = 64 * 1024;
/** What a client may send ahead of the message that is being handled; beyond it the socket is not read. */
const AHEAD_BYTES_MAX = 1024 * 1024;
/** A client that has not started its session by then is let go. */
const STARTUP_TIMEOUT_MS = 60_000;
/** How long an ended connection waits for a client that does not take its last bytes. */
const LINGER_MS = 1000;

const NO_FUNCTION_CALLS = new StatementError(SqlState.FeatureNotSupported, 'function calls through the protocol are not supported', {
  hint: 'call the function in a SELECT',
});

/** Ends the connection after the message it carries. */
class FatalError extends Error {
  readonly error: unknown;
  constructor(error: unknown) {
    super('fatal');
    this.error = error;
  }
}

export class Connection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #reader = new MessageReader();
  readonly #writer = new MessageWriter();
  readonly #portalFormats = new Map<string, readonly WireFormat[]>();
  /** Kinds of encryption that the client has asked for. */
  readonly #asked = new Set<string>();
  #session: Session | undefined;
  #abort = new AbortController();
  #isPumping = false;
  #isSkipping = false;
  #isEnded = false;
  /** Results on their way to the client, in order, while the statements after them run. */
  #written: Promise<unknown> = Promise.resolve();
  /** Wakes who waits for a message. */
  #arrived: (() => void) | undefined;

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.setTimeout(STARTUP_TIMEOUT_MS);
    socket.on('timeout', () => socket.destroy());
    socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      if (this.#isPumping && this.#reader.buffered > AHEAD_BYTES_MAX) socket.pause();
      this.#arrived?.();
      void this.#pump();
    });
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Cancels the statement that runs, if one does. */
  cancel(): void {
    this.#abort.abort(new StateError(SqlState.QueryCanceled, 'query execution canceled'));
  }

  /** Tells the client why, and ends the connection: the server goes down, or the session has reached a time limit. */
  shutDown(error: VarveError = new StateError(SqlState.AdminShutdown, 'terminating connection due to administrator command')): void {
    if (this.#isEnded) return;
    if (this.#session) {
      this.#writer.errorResponse(reportOf(error, 'FATAL'));
      this.#socket.write(this.#writer.take());
    }
    this.#end();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#abort.abort(new StateError(SqlState.ConnectionFailure, 'the client went away'));
    this.#host.unregister(this);
    this.#session?.close();
    this.#arrived?.();
    this.#socket.setTimeout(LINGER_MS);
    this.#socket.destroySoon();
  }

  /** Handles what has arrived, one message after another. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (let message = this.#reader.next(); message && !this.#isEnded; message = this.#reader.next()) {
        await this.#handle(message);
        if (this.#writer.length >= FLUSH_BYTES) await this.#flush();
      }
    } catch (error) {
      const cause = error instanceof FatalError ? error.error : error;
      if (!this.#isEnded) {
        this.#writer.errorResponse(reportOf(cause, 'FATAL'));
        await this.#flush();
      }
      this.#end();
    } finally {
      this.#isPumping = false;
      this.#socket.resume();
    }
  }

  /** Sends what has gathered; waits while the client does not take it. */
  async #flush(): Promise<void> {
    if (this.#writer.length === 0 || this.#isEnded) return;
    if (this.#socket.write(this.#writer.take())) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  async #handle(message: FrontendMessage): Promise<void> {
    switch (message.type) {
      case 'startup':
      case 'sslRequest':
      case 'gssEncRequest':
      case 'cancelRequest':
        return await this.#handleStartup(message);
      case 'terminate':
        return this.#end();
      case 'query':
        this.#isSkipping = false;
        return await this.#simpleQuery(message.sql);
      case 'badText':
        if (!message.isQuery) return await this.#extended(message);
        this.#isSkipping = false;
        this.#session?.abandonBatch();
        this.#writer.errorResponse(reportOf(message.error, 'ERROR'));
        return await this.#ready();
      case 'functionCall':
        this.#isSkipping = false;
        this.#session?.abandonBatch();
        this.#writer.errorResponse(reportOf(NO_FUNCTION_CALLS, 'ERROR'));
        return await this.#ready();
      case 'sync':
        this.#isSkipping = false;
        return await this.#sync();
      default:
        return await this.#extended(message);
    }
  }

  async #handleStartup(message: FrontendMessage & { type: 'startup' | 'sslRequest' | 'gssEncRequest' | 'cancelRequest' }): Promise<void> {
    if (message.type === 'cancelRequest') {
      this.#host.cancel(message.processId, message.secretKey);
      return this.#end();
    }
    if (message.type !== 'startup') {
      if (this.#asked.has(message.type)) throw new VarveError(SqlState.ProtocolViolation, 'encryption was refused already');
      this.#asked.add(message.type);
      // No TLS here: the client goes on in plain text, or leaves.
      this.#writer.rawByte('N');
      return await this.#flush();
    }
    let session: Session;
    try {
      session = await this.#host.openSession({ ...startupSession(message.parameters), clientAddress: this.#socket.remoteAddress ?? '' });
    } catch (error) {
      throw new FatalError(error);
    }
    if (this.#isEnded) return session.close();
    this.#session = session;
    session.onTerminate = (error) => this.shutDown(error);
    session.copyPort = this.#copyStream();
    this.#socket.setTimeout(0);
    const extensions = [...message.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
    if (message.minorVersion > 0 || extensions.length > 0) this.#writer.negotiateProtocolVersion(extensions);
    this.#writer.authenticationOk();
    for (const [name, value] of session.vars.reported()) this.#writer.parameterStatus(name, value);
    session.vars.onReport = (name, value) => this.#writer.parameterStatus(name, value);
    const { processId, secretKey } = this.#host.register(this);
    this.#writer.backendKeyData(processId, secretKey);
    await this.#ready();
  }

  #requireSession(): Session {
    if (!this.#session) throw new VarveError(SqlState.ProtocolViolation, 'message before start-up');
    return this.#session;
  }

  async #ready(): Promise<void> {
    this.#writer.readyForQuery(this.#requireSession().transactionStatus);
    await this.#flush();
  }

  #wireContext(): TextContext {
    return textContextOf(this.#requireSession());
  }

  // ---- simple protocol ------------------------------------------------------------------------

  async #simpleQuery(sql: string): Promise<void> {
    const session = this.#requireSession();
    this.#portalFormats.delete('');
    this.#freshSignal();
    this.#written = Promise.resolve();
    let count = 0;
    try {
      try {
        await session.execute(sql, {
          signal: this.#abort.signal,
          onResult: (result) => {
            count++;
            this.#written = this.#written.then(() => this.#result(result));
            this.#written.catch(() => undefined);
          },
        });
      } finally {
        await this.#written;
      }
      if (count === 0) this.#writer.emptyQueryResponse();
    } catch (error) {
      if (error instanceof FatalError) throw error;
      this.#writer.errorResponse(reportOf(error, 'ERROR'));
    }
    await this.#ready();
  }

  async #result({ columns, rows, tag, notices }: StatementResult): Promise<void> {
    this.#notices(notices);
    if (columns) {
      this.#writer.rowDescription(describeColumns(columns, []));
      await this.#rows(columns, rows, []);
    }
    this.#writer.commandComplete(tag);
  }

  #freshSignal(): void {
    if (this.#abort.signal.aborted) this.#abort = new AbortController();
  }

  /** Writes rows as fast as the client takes them. */
  async #rows(columns: readonly ResultColumn[], rows: readonly Datum[][], formats: readonly WireFormat[]): Promise<void> {
    const encode = rowEncoder(columns, formats, this.#wireContext());
    let waiting: KeptRows | undefined;
    try {
      for (const row of rows) {
        this.#writer.dataRow(encode(row));
        if (this.#writer.length < FLUSH_BYTES) continue;
        if (waiting === undefined) {
          // More than a buffer's worth: counted as long as the client takes it.
          waiting = keptRows({ context: this.#requireSession() }, 'results', true);
          waiting.add(rows);
        }
        await this.#flush();
        if (this.#isEnded) return;
      }
    } finally {
      waiting?.release();
    }
  }

  #notices(notices: readonly Notice[]): void {
    for (const notice of notices) {
      const severity = notice.severity === 'WARNING' ? 'WARNING' : 'NOTICE';
      this.#writer.noticeResponse({ severity, code: notice.code, message: notice.message, detail: notice.detail, hint: notice.hint });
    }
  }

  // ---- COPY -----------------------------------------------------------------------------------

  #copyStream(): CopyStream {
    return new CopyStream({
      writer: this.#writer,
      settled: () => this.#written,
      flush: async (all) => {
        if (all || this.#writer.length >= FLUSH_BYTES) await this.#flush();
      },
      next: (signal) => this.#nextMessage(signal),
    });
  }

  /** The next message, while a statement that wants it is being handled. */
  async #nextMessage(signal: AbortSignal): Promise<FrontendMessage> {
    for (;;) {
      signal.throwIfAborted();
      let message: FrontendMessage | undefined;
      try {
        message = this.#reader.next();
      } catch (error) {
        throw new FatalError(error);
      }
      if (message?.type === 'terminate') this.#end();
      else if (message) return message;
      if (this.#isEnded) throw new StateError(SqlState.ConnectionFailure, 'the client went away');
      this.#socket.resume();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          this.#arrived = undefined;
          resolve();
        };
        signal.addEventListener('abort', wake);
        this.#arrived = wake;
      });
    }
  }

  // ---- extended protocol ----------------------------------------------------------------------

  async #extended(message: FrontendMessage): Promise<void> {
    if (this.#isSkipping) return;
    try {
      await this.#extendedStep(message);
    } catch (error) {
      if (error instanceof FatalError) throw error;
      this.#isSkipping = true;
      this.#session?.abandonBatch();
      this.#writer.errorResponse(reportOf(error, 'ERROR'));
      // A client that pipelines nothing waits for Sync's answer; one that sent Flush sees the error now.
      await this.#flush();
    }
  }

  async #extendedStep(message: FrontendMessage): Promise<void> {
    const session = this.#requireSession();
    switch (message.type) {
      case 'parse': {
        const types = message.parameterOids.map((oid) => parameterType(oid, session));
        await session.prepare(message.name, message.sql, types);
        return this.#writer.parseComplete();
      }
      case 'bind': {
        const prepared = session.preparedStatement(message.statement);
        const { parameterTypes } = prepared;
        if (message.parameters.length !== parameterTypes.length) {
          throw new VarveError(
            SqlState.ProtocolViolation,
            `bind message supplies ${message.parameters.length} parameters, but prepared statement "${message.statement}" requires ${parameterTypes.length}`,
          );
        }
        const context = this.#wireContext();
        const values = message.parameters.map((bytes, index) =>
          bytes === null
            ? null
            : decodeParameter(parameterTypes[index] as ColumnType, formatAt(message.parameterFormats, index), bytes, context),
        );
        session.bind(message.portal, message.statement, values);
        this.#portalFormats.set(message.portal, message.resultFormats);
        return this.#writer.bindComplete();
      }
      case 'describe': {
        const { columns, parameterTypes } =
          message.what === 'statement' ? session.preparedStatement(message.name) : session.portal(message.name).prepared;
        if (message.what === 'statement') this.#writer.parameterDescription(parameterTypes.map((type) => type.oid));
        if (!columns) return this.#writer.noData();
        const formats = message.what === 'portal' ? (this.#portalFormats.get(message.name) ?? []) : [];
        return this.#writer.rowDescription(describeColumns(columns, formats));
      }
      case 'execute': {
        this.#freshSignal();
        const { columns } = session.portal(message.portal).prepared;
        const result = await session.executePortal(message.portal, message.maxRows, this.#abort.signal, !this.#reader.isSyncNext());
        this.#notices(result.notices);
        if (columns) await this.#rows(columns, result.rows, this.#portalFormats.get(message.portal) ?? []);
        if (result.suspended) return this.#writer.portalSuspended();
        return result.tag === undefined ? this.#writer.emptyQueryResponse() : this.#writer.commandComplete(result.tag);
      }
      case 'close':
        if (message.what === 'statement') session.deallocate(message.name);
        else {
          await session.closePortal(message.name);
          this.#portalFormats.delete(message.name);
        }
        return this.#writer.closeComplete();
      case 'flush':
        return await this.#flush();
      case 'badText':
        throw message.error;
      case 'copyData':
      case 'copyDone':
      case 'copyFail':
        // What a client still had under way when its COPY failed; the protocol says to drop it.
        return;
      default:
        throw new FatalError(new VarveError(SqlState.ProtocolViolation, `unexpected message "${message.type}"`));
    }
  }

  async #sync(): Promise<void> {
    try {
      const session = this.#requireSession();
      await session.sync();
      if (session.transactionStatus === 'I') this.#portalFormats.clear();
    } catch (error) {
      this.#writer.errorResponse(reportOf(error, 'ERROR'));
    }
    await this.#ready();
  }
}

/** 0 and the OID of "unknown" leave the type to inference. */
function parameterType(oid: number, session: Session): ColumnType | undefined {
  if (oid === 0 || oid === 705) return undefined;
  const type = typeOfOid(oid) ?? userTypeOfOid(session, oid);
  if (!type) throw new StatementError(SqlState.UndefinedObject, `unknown oid type: ${oid}`);
  return type;
}

/** Any error as the fields of a report; what is not Varve's own is a bug, and says so. */
export function reportOf(error: unknown, severity: 'ERROR' | 'FATAL'): ReportFields {
  if (!isVarveError(error)) {
    return {
      severity,
      code: SqlState.InternalError,
      message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
      hint: 'this is a bug in Varve',
    };
  }
  return {
    severity,
    code: error.code,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
    position: error.location?.position,
    table: error.table,
    column: error.column,
    constraint: error.constraint,
  };
}
