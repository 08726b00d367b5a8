/**
 * Connection: one client of the Postgres protocol, from its first byte to its last.
 *
 * Messages are handled strictly one after another. Answers gather in a buffer that is flushed when
 * the client waits for it (ReadyForQuery with nothing more to handle, Flush) or when it has grown
 * large; while the socket is full, neither the next row nor the next message is looked at, and a
 * client that sends far ahead is not read: a slow or hasty client slows itself only.
 *
 * A handler that gives no promise is done: from a message that need not wait to its answer on the
 * socket is one function call.
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
import type { TLSSocket } from 'node:tls';

import type { Clock, Timer } from '../../base/clock.ts';
import { StateError, StatementError, VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { TextContext } from '../../catalog/datumText.ts';
import { type ColumnType, typeOfOid } from '../../catalog/type.ts';
import type { PortalResult, Session, SessionOptions } from '../../sql/exec/session.ts';
import type { Notice, ResultColumn, StatementResult } from '../../sql/exec/statement.ts';
import { userTypeOfOid } from '../../sql/exec/oidNames.ts';
import { textContextOf } from '../../sql/exec/textContext.ts';
import { MessageWriter } from './backendMessages.ts';
import { CopyStream } from './copyStream.ts';
import { type FrontendMessage, MESSAGE_BYTES_MAX, MessageReader, type WireFormat } from './frontendMessages.ts';
import type { LoginChannel } from './login.ts';
import { reportOf } from './reports.ts';
import { FLUSH_BYTES, ResultRows } from './resultRows.ts';
import { startupSession } from './startup.ts';
import { clientCertificate } from './tls.ts';
import { decodeParameter, rowDescriptionOf, formatAt } from './wireValues.ts';

/** What a connection asks of the server it belongs to. */
export interface ConnectionHost {
  /** Takes over a socket for TLS; undefined when the server has no certificate. Rejects when the handshake fails. */
  readonly startTls: ((socket: Socket) => Promise<TLSSocket>) | undefined;
  /** Opens a session for a user that has logged in, or throws what the client is told before the connection ends (28P01, 3D000). */
  openSession(options: SessionOptions, channel: LoginChannel): Promise<Session>;
  /** Registers a connection that can be cancelled; returns its keys. */
  register(connection: Connection): { processId: number; secretKey: number };
  /** A CancelRequest; wrong keys do nothing, and nothing is answered. */
  cancel(processId: number, secretKey: number): void;
  unregister(connection: Connection): void;
  /** The sockets' time, which goes on while the database's stands still. */
  readonly ioClock: Clock;
}

/** What a client may send ahead of the message that is being handled; beyond it the socket is not read. */
const AHEAD_BYTES_MAX = 1024 * 1024;
/** A message of a client that has not logged in: no password is longer, and nobody unknown fills the memory. */
export const LOGIN_BYTES_MAX = 64 * 1024;
/** A client that has not started its session by then is let go, however busily it sends. */
export const STARTUP_MICROS = 60_000_000;
/** How long an ended connection waits for a client that does not take its last bytes. */
const LINGER_MICROS = 1_000_000;

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
  #socket: Socket;
  #tls: TLSSocket | undefined;
  readonly #host: ConnectionHost;
  readonly #reader = new MessageReader(LOGIN_BYTES_MAX);
  readonly #writer = new MessageWriter();
  readonly #portalFormats = new Map<string, readonly WireFormat[]>();
  /** Kinds of encryption that the client has asked for. */
  readonly #asked = new Set<string>();
  #session: Session | undefined;
  #abort = new AbortController();
  #isPumping = false;
  #isSkipping = false;
  /** What gathers ends a query cycle: the client waits for it. */
  #isReady = false;
  #isEnded = false;
  /** Results on their way to the client, in order, while the statements after them run. */
  #written: Promise<unknown> = Promise.resolve();
  #context: { readonly catalogVersion: number | undefined; readonly version: number; readonly text: TextContext } | undefined;
  readonly #rows: ResultRows;
  /** By then it has started, or, once ended, its client has taken the last bytes. */
  #deadline: Timer;
  /** Wakes who waits for a message. */
  #arrived: (() => void) | undefined;

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#rows = this.#resultRows();
    this.#deadline = host.ioClock.setTimer(STARTUP_MICROS, () => this.#socket.destroy());
    this.#listen(socket);
  }

  /** Reads from a socket: the one that was accepted, or TLS over it. */
  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      if (this.#isPumping && this.#reader.buffered > AHEAD_BYTES_MAX) socket.pause();
      this.#arrived?.();
      void this.#pump();
    });
    socket.on('error', () => this.#end());
    socket.on('close', () => {
      this.#end();
      this.#deadline.cancel();
    });
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
    this.#deadline.cancel();
    this.#deadline = this.#host.ioClock.setTimer(LINGER_MICROS, () => this.#socket.destroy());
    this.#socket.destroySoon();
  }

  /** Handles what has arrived, one message after another. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (!this.#isEnded) {
        const message = this.#reader.next();
        const handled = message && this.#handle(message);
        // Answers that are complete wait for messages that are handled at once, and for nothing else.
        const mustFlush = this.#writer.length >= FLUSH_BYTES || (this.#isReady && (handled || !message));
        const flushed = mustFlush ? this.#flush() : undefined;
        if (handled) await handled;
        if (flushed) await flushed;
        else if (!message) break;
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

  /** Sends what has gathered; gives a promise while the client does not take it. */
  #flush(): Promise<void> | undefined {
    this.#isReady = false;
    if (this.#writer.length === 0 || this.#isEnded) return undefined;
    if (this.#socket.write(this.#writer.take())) return undefined;
    return new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  #handle(message: FrontendMessage): Promise<void> | undefined {
    switch (message.type) {
      case 'startup':
      case 'sslRequest':
      case 'gssEncRequest':
      case 'cancelRequest':
        return this.#handleStartup(message);
      case 'terminate':
        this.#flush();
        this.#end();
        return undefined;
      case 'query':
        this.#isSkipping = false;
        return this.#simpleQuery(message.sql);
      case 'badText':
        if (!message.isQuery) return this.#extended(message);
        this.#isSkipping = false;
        this.#session?.abandonBatch();
        this.#writer.errorResponse(reportOf(message.error, 'ERROR'));
        return this.#ready();
      case 'functionCall':
        this.#isSkipping = false;
        this.#session?.abandonBatch();
        this.#writer.errorResponse(reportOf(NO_FUNCTION_CALLS, 'ERROR'));
        return this.#ready();
      case 'sync':
        this.#isSkipping = false;
        return this.#sync();
      default:
        return this.#extended(message);
    }
  }

  async #handleStartup(message: FrontendMessage & { type: 'startup' | 'sslRequest' | 'gssEncRequest' | 'cancelRequest' }): Promise<void> {
    if (message.type === 'cancelRequest') {
      this.#host.cancel(message.processId, message.secretKey);
      return this.#end();
    }
    if (message.type !== 'startup') {
      if (this.#asked.has(message.type)) throw new VarveError(SqlState.ProtocolViolation, 'encryption was asked for already');
      this.#asked.add(message.type);
      if (message.type === 'sslRequest' && this.#host.startTls && !this.#tls) return await this.#startTls(this.#host.startTls);
      // The client goes on in plain text, or leaves.
      this.#writer.rawByte('N');
      return await this.#flush();
    }
    let session: Session;
    try {
      const options = { ...startupSession(message.parameters), clientAddress: this.#socket.remoteAddress ?? '' };
      session = await this.#host.openSession(options, this.#loginChannel());
    } catch (error) {
      throw error instanceof FatalError ? error : new FatalError(error);
    }
    if (this.#isEnded) return session.close();
    this.#session = session;
    this.#reader.messageBytesMax = MESSAGE_BYTES_MAX;
    session.onTerminate = (error) => this.shutDown(error);
    session.copyPort = this.#copyStream();
    this.#deadline.cancel();
    const extensions = [...message.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
    if (message.minorVersion > 0 || extensions.length > 0) this.#writer.negotiateProtocolVersion(extensions);
    this.#writer.authenticationOk();
    for (const [name, value] of session.vars.reported()) this.#writer.parameterStatus(name, value);
    session.vars.onReport = (name, value) => this.#writer.parameterStatus(name, value);
    const { processId, secretKey } = this.#host.register(this);
    session.backendPid = processId;
    this.#writer.backendKeyData(processId, secretKey);
    this.#ready();
  }

  /** The socket goes on as TLS. What came behind the request in plain text would pass for encrypted: 08P01. */
  async #startTls(start: (socket: Socket) => Promise<TLSSocket>): Promise<void> {
    const plain = this.#socket;
    plain.pause();
    for (const event of ['data', 'error', 'close']) plain.removeAllListeners(event);
    plain.on('error', () => this.#end());
    if (this.#reader.buffered > 0) throw new VarveError(SqlState.ProtocolViolation, 'received unencrypted data after SSL request');
    this.#writer.rawByte('S');
    plain.write(this.#writer.take());
    let tls: TLSSocket;
    try {
      tls = await start(plain);
    } catch {
      plain.destroy();
      return this.#end();
    }
    if (this.#isEnded) return void tls.destroy();
    this.#tls = tls;
    this.#listen(tls);
  }

  #loginChannel(): LoginChannel {
    return {
      isTls: this.#tls !== undefined,
      certificate: this.#tls && clientCertificate(this.#tls),
      writer: this.#writer,
      flush: async () => await this.#flush(),
      next: () => this.#nextMessage(this.#abort.signal),
    };
  }

  #requireSession(): Session {
    if (!this.#session) throw new VarveError(SqlState.ProtocolViolation, 'message before start-up');
    return this.#session;
  }

  /** The answer is complete; it is sent once nothing more of what has arrived is left to handle. */
  #ready(): undefined {
    this.#writer.readyForQuery(this.#requireSession().transactionStatus);
    this.#isReady = true;
  }

  /** How values look to the client: made anew when a setting or a name has changed. */
  #wireContext(): TextContext {
    const session = this.#requireSession();
    const catalogVersion = session.engine.catalog.versionNow();
    const { version } = session.vars;
    if (this.#context?.catalogVersion !== catalogVersion || this.#context?.version !== version) {
      this.#context = { catalogVersion, version, text: textContextOf(session) };
    }
    return this.#context.text;
  }

  // ---- simple protocol ------------------------------------------------------------------------

  #simpleQuery(sql: string): Promise<void> | undefined {
    const session = this.#requireSession();
    this.#portalFormats.delete('');
    this.#freshSignal();
    try {
      const result = session.executeNow(sql, { signal: this.#abort.signal });
      if (!result) return this.#simpleQueries(session, sql);
      const written = this.#result(result);
      if (written) return written.then(() => this.#ready());
    } catch (error) {
      this.#writer.errorResponse(reportOf(error, 'ERROR'));
    }
    return this.#ready();
  }

  async #simpleQueries(session: Session, sql: string): Promise<void> {
    this.#written = Promise.resolve();
    let count = 0;
    try {
      try {
        await session.execute(sql, {
          signal: this.#abort.signal,
          stream: this.#rows.stream(NO_FORMATS, false),
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
    this.#ready();
  }

  #result({ columns, rows, isStreamed, tag, notices }: StatementResult): Promise<void> | undefined {
    this.#notices(notices);
    if (columns && !isStreamed) {
      this.#writer.ready(rowDescriptionOf(columns, NO_FORMATS));
      const written = this.#rows.write(columns, rows, NO_FORMATS);
      if (written) return written.then(() => this.#writer.commandComplete(tag));
    }
    this.#writer.commandComplete(tag);
    return undefined;
  }

  #freshSignal(): void {
    if (this.#abort.signal.aborted) this.#abort = new AbortController();
  }

  #notices(notices: readonly Notice[]): void {
    for (const notice of notices) {
      const severity = notice.severity === 'WARNING' ? 'WARNING' : 'NOTICE';
      this.#writer.noticeResponse({ severity, code: notice.code, message: notice.message, detail: notice.detail, hint: notice.hint });
    }
  }

  #resultRows(): ResultRows {
    const connection = this;
    return new ResultRows({
      writer: this.#writer,
      get isEnded() {
        return connection.#isEnded;
      },
      engine: () => this.#requireSession().engine,
      textContext: () => this.#wireContext(),
      flush: () => this.#flush(),
      settled: () => this.#written,
    });
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

  #extended(message: FrontendMessage): Promise<void> | undefined {
    if (this.#isSkipping) return undefined;
    try {
      return this.#extendedStep(message)?.catch((error) => this.#fail(error));
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** A step failed: everything up to Sync is skipped. */
  #fail(error: unknown): Promise<void> | undefined {
    if (error instanceof FatalError) throw error;
    this.#isSkipping = true;
    this.#session?.abandonBatch();
    this.#writer.errorResponse(reportOf(error, 'ERROR'));
    // A client that pipelines nothing waits for Sync's answer; one that sent Flush sees the error now.
    return this.#flush();
  }

  #extendedStep(message: FrontendMessage): Promise<void> | undefined {
    const session = this.#requireSession();
    const writer = this.#writer;
    switch (message.type) {
      case 'parse': {
        const types = message.parameterOids.map((oid) => parameterType(oid, session));
        if (!session.prepareNow(message.name, message.sql, types)) {
          return session.prepare(message.name, message.sql, types).then(() => writer.parseComplete());
        }
        writer.parseComplete();
        return undefined;
      }
      case 'bind': {
        const refreshed = session.refreshLabels(message.statement);
        if (refreshed) return refreshed.then(() => this.#bind(message, session));
        this.#bind(message, session);
        return undefined;
      }
      case 'describe': {
        const { columns, parameterTypes } =
          message.what === 'statement' ? session.preparedStatement(message.name) : session.portal(message.name).prepared;
        if (message.what === 'statement') writer.parameterDescription(parameterTypes.map((type) => type.oid));
        const formats = message.what === 'portal' ? this.#formatsOf(message.name) : NO_FORMATS;
        if (columns) writer.ready(rowDescriptionOf(columns, formats));
        else writer.noData();
        return undefined;
      }
      case 'execute': {
        this.#freshSignal();
        const { columns } = session.portal(message.portal).prepared;
        const { signal } = this.#abort;
        const moreFollows = !this.#reader.isSyncNext();
        const result = session.executePortalNow(message.portal, message.maxRows, signal, moreFollows);
        if (result) return this.#portalResult(message.portal, columns, result);
        return session
          .executePortal(message.portal, message.maxRows, signal, moreFollows, this.#rows.stream(this.#formatsOf(message.portal), true))
          .then((waited) => this.#portalResult(message.portal, columns, waited));
      }
      case 'close':
        if (message.what === 'portal') {
          this.#portalFormats.delete(message.name);
          return session.closePortal(message.name).then(() => writer.closeComplete());
        }
        session.deallocate(message.name);
        writer.closeComplete();
        return undefined;
      case 'flush':
        return this.#flush();
      case 'badText':
        throw message.error;
      case 'copyData':
      case 'copyDone':
      case 'copyFail':
        // What a client still had under way when its COPY failed; the protocol says to drop it.
        return undefined;
      default:
        throw new FatalError(new VarveError(SqlState.ProtocolViolation, `unexpected message "${message.type}"`));
    }
  }

  #bind(message: FrontendMessage & { type: 'bind' }, session: Session): void {
    const { parameterTypes } = session.preparedStatement(message.statement);
    const { parameters, parameterFormats } = message;
    if (parameters.length !== parameterTypes.length) {
      throw new VarveError(
        SqlState.ProtocolViolation,
        `bind message supplies ${parameters.length} parameters, but prepared statement "${message.statement}" requires ${parameterTypes.length}`,
      );
    }
    const context = this.#wireContext();
    const values = parameters.map((bytes, index) =>
      bytes === null ? null : decodeParameter(parameterTypes[index] as ColumnType, formatAt(parameterFormats, index), bytes, context),
    );
    session.bind(message.portal, message.statement, values);
    this.#portalFormats.set(message.portal, message.resultFormats);
    this.#writer.bindComplete();
  }

  #formatsOf(portal: string): readonly WireFormat[] {
    return this.#portalFormats.get(portal) ?? NO_FORMATS;
  }

  #portalResult(portal: string, columns: readonly ResultColumn[] | undefined, result: PortalResult): Promise<void> | undefined {
    this.#notices(result.notices);
    const written = columns && this.#rows.write(columns, result.rows, this.#formatsOf(portal));
    if (written) return written.then(() => this.#complete(result));
    this.#complete(result);
    return undefined;
  }

  #complete({ suspended, tag }: PortalResult): void {
    if (suspended) this.#writer.portalSuspended();
    else if (tag === undefined) this.#writer.emptyQueryResponse();
    else this.#writer.commandComplete(tag);
  }

  #sync(): Promise<void> | undefined {
    const session = this.#requireSession();
    if (!session.syncNow()) return this.#syncLater(session);
    if (session.transactionStatus === 'I') this.#portalFormats.clear();
    return this.#ready();
  }

  async #syncLater(session: Session): Promise<void> {
    try {
      await session.sync();
      if (session.transactionStatus === 'I') this.#portalFormats.clear();
    } catch (error) {
      this.#writer.errorResponse(reportOf(error, 'ERROR'));
    }
    this.#ready();
  }
}

/** Text for every column. */
const NO_FORMATS: readonly WireFormat[] = [];

/** 0 and the OID of "unknown" leave the type to inference. */
function parameterType(oid: number, session: Session): ColumnType | undefined {
  if (oid === 0 || oid === 705) return undefined;
  const type = typeOfOid(oid) ?? userTypeOfOid(session, oid);
  if (!type) throw new StatementError(SqlState.UndefinedObject, `unknown oid type: ${oid}`);
  return type;
}
