/**
 * What a client may send: bytes off the socket, cut into typed messages.
 *
 * A connection starts with one or more untyped start-up packets (length, code, body); after the
 * start-up message proper every message is a type byte, a length that counts itself, and a body.
 * The reader owns no socket: bytes are pushed in, messages are taken out.
 *
 * Invariants
 *   R1  a message is taken out only when it has arrived whole
 *   R2  nothing larger than the limit is ever buffered: its length alone is refused (54000)
 *   R3  a body is consumed to its last byte, no further; anything else is 08P01
 *
 * Lives elsewhere: what the messages do (connection.ts), what goes back (backendMessages.ts).
 * Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol", section "Message Formats".
 */
import { isUtf8 } from 'node:buffer';

import type { Bytes } from '../../base/bytes.ts';
import { isVarveError, VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

/** Parameter and result formats of the protocol. */
export type WireFormat = 'text' | 'binary';

export type StartupMessage =
  | {
      readonly type: 'startup';
      readonly parameters: ReadonlyMap<string, string>;
      /** The minor version asked for: 0 is what everybody speaks. */
      readonly minorVersion: number;
    }
  | { readonly type: 'sslRequest' }
  | { readonly type: 'gssEncRequest' }
  | { readonly type: 'cancelRequest'; readonly processId: number; readonly secretKey: number };

export type FrontendMessage =
  | StartupMessage
  | { readonly type: 'query'; readonly sql: string }
  | { readonly type: 'parse'; readonly name: string; readonly sql: string; readonly parameterOids: readonly number[] }
  | {
      readonly type: 'bind';
      readonly portal: string;
      readonly statement: string;
      readonly parameterFormats: readonly WireFormat[];
      readonly parameters: readonly (Bytes | null)[];
      readonly resultFormats: readonly WireFormat[];
    }
  | { readonly type: 'describe'; readonly what: 'statement' | 'portal'; readonly name: string }
  | { readonly type: 'execute'; readonly portal: string; readonly maxRows: number }
  | { readonly type: 'close'; readonly what: 'statement' | 'portal'; readonly name: string }
  | { readonly type: 'sync' }
  | { readonly type: 'flush' }
  | { readonly type: 'terminate' }
  | { readonly type: 'password'; readonly body: Bytes }
  | { readonly type: 'functionCall' }
  | { readonly type: 'copyData'; readonly body: Bytes }
  | { readonly type: 'copyDone' }
  | { readonly type: 'copyFail'; readonly reason: string }
  /** Whole and well cut, but its text is not UTF-8 (22021): the statement is lost, not the connection. */
  | { readonly type: 'badText'; readonly isQuery: boolean; readonly error: VarveError };

/** A start-up packet holds names and values only; PostgreSQL's own limit. */
const STARTUP_BYTES_MAX = 10_000;
/** One message: a statement or a row of parameters. Prevents a forged length from holding memory. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

const SYNC = 0x53;
const CLOSE = 0x43;
const FLUSH = 0x48;

const PROTOCOL_3 = 0x0003_0000;
const CANCEL_REQUEST_CODE = 80877102;
const SSL_REQUEST_CODE = 80877103;
const GSSENC_REQUEST_CODE = 80877104;

function protocolViolation(message: string): VarveError {
  return new VarveError(SqlState.ProtocolViolation, message);
}

/** Texts up to this size are looked through byte by byte: native calls cost more. */
const SHORT_BYTES_MAX = 64;

/** Walks one message body, `[start, end)` of a buffer; every read checks what is left (R3). */
class BodyCursor {
  readonly #body: Buffer;
  readonly #end: number;
  #offset: number;

  constructor(body: Buffer, start: number, end: number) {
    this.#body = body;
    this.#offset = start;
    this.#end = end;
  }

  #take(length: number): number {
    const offset = this.#offset;
    if (length < 0 || offset + length > this.#end) throw protocolViolation('invalid message format: insufficient data left in message');
    this.#offset = offset + length;
    return offset;
  }

  int8(): number {
    return this.#body.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#body.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#take(4));
  }

  /** A zero-terminated string; 22021 when it is not UTF-8. */
  text(): string {
    const body = this.#body;
    const start = this.#offset;
    const shortEnd = Math.min(this.#end, start + SHORT_BYTES_MAX);
    for (let at = start; at < shortEnd; at++) {
      const byte = body[at] as number;
      if (byte >= 0x80) break;
      if (byte !== 0) continue;
      this.#offset = at + 1;
      return at === start ? '' : body.latin1Slice(start, at);
    }
    const end = body.indexOf(0, start);
    if (end < 0 || end >= this.#end) throw protocolViolation('invalid message format: string is not terminated');
    this.#offset = end + 1;
    if (!isUtf8(body.subarray(start, end))) {
      throw new VarveError(SqlState.CharacterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"');
    }
    return body.utf8Slice(start, end);
  }

  bytes(length: number): Bytes {
    const offset = this.#take(length);
    return this.#body.latin1Slice(offset, offset + length) as Bytes;
  }

  rest(): Bytes {
    return this.bytes(this.#end - this.#offset);
  }

  format(): WireFormat {
    const code = this.int16();
    if (code > 1) throw protocolViolation(`unsupported format code: ${code}`);
    return code === 1 ? 'binary' : 'text';
  }

  get atEnd(): boolean {
    return this.#offset === this.#end;
  }

  end(): void {
    if (!this.atEnd) throw protocolViolation('invalid message format: data left in message');
  }
}

/** Cuts a byte stream into messages. Cost: one copy of each byte, when it is pushed. */
export class MessageReader {
  /** Longer messages are refused. */
  messageBytesMax: number;
  #chunks: Buffer[] = [];
  #buffered = 0;
  // Bytes that the next step needs: nothing is joined before they are here, so a long message that
  // trickles in is copied twice at most.
  #needed = 8;
  #started = false;

  constructor(messageBytesMax: number = MESSAGE_BYTES_MAX) {
    this.messageBytesMax = messageBytesMax;
  }

  /** Bytes pushed and not yet taken out. */
  get buffered(): number {
    return this.#buffered;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /** The next whole message, or undefined until more bytes arrive. Throws 08P01 and 54000; the connection is lost then. */
  next(): FrontendMessage | undefined {
    if (this.#buffered < this.#needed) return undefined;
    return this.#started ? this.#nextTyped() : this.#nextStartup();
  }

  /** True when Sync has arrived and only messages that run nothing (Close, Flush) stand before it. Takes nothing out. */
  isSyncNext(): boolean {
    for (let at = 0; this.#started && at + 5 <= this.#buffered; ) {
      const head = this.#join();
      const type = head[at];
      if (type === SYNC) return true;
      if (type !== CLOSE && type !== FLUSH) return false;
      at += 1 + Math.max(4, head.readInt32BE(at + 1));
    }
    return false;
  }

  #nextStartup(): StartupMessage | undefined {
    const head = this.#join();
    const length = head.readInt32BE(0);
    if (length < 8 || length > STARTUP_BYTES_MAX) throw protocolViolation(`invalid length of startup packet: ${length}`);
    if (!this.#has(length)) return undefined;
    const code = head.readInt32BE(4);
    const body = this.#takeBody(8, length);
    if (code === SSL_REQUEST_CODE) return { type: 'sslRequest' };
    if (code === GSSENC_REQUEST_CODE) return { type: 'gssEncRequest' };
    if (code === CANCEL_REQUEST_CODE) return { type: 'cancelRequest', processId: body.int32(), secretKey: body.int32() };
    if (code >> 16 !== PROTOCOL_3 >> 16)
      throw protocolViolation(`unsupported frontend protocol ${code >> 16}.${code & 0xffff}: server supports 3.0`);
    const parameters = new Map<string, string>();
    for (;;) {
      const name = body.text();
      if (name === '') break;
      parameters.set(name, body.text());
    }
    body.end();
    this.#started = true;
    this.#needed = 5;
    return { type: 'startup', parameters, minorVersion: code & 0xffff };
  }

  #nextTyped(): FrontendMessage | undefined {
    const head = this.#join();
    const length = head.readInt32BE(1);
    if (length < 4) throw protocolViolation(`invalid message length: ${length}`);
    if (length - 4 > this.messageBytesMax) {
      throw new VarveError(
        SqlState.ProgramLimitExceeded,
        `message size ${length - 4} bytes exceeds the maximum of ${this.messageBytesMax} bytes`,
      );
    }
    if (!this.#has(length + 1)) return undefined;
    const type = String.fromCharCode(head[0] as number);
    return decodeTyped(type, this.#takeBody(5, length + 1));
  }

  #has(length: number): boolean {
    const whole = this.#buffered >= length;
    this.#needed = whole ? (this.#started ? 5 : 8) : length;
    return whole;
  }

  #join(): Buffer {
    const only = this.#chunks[0];
    if (this.#chunks.length === 1 && only) return only;
    const joined = Buffer.concat(this.#chunks, this.#buffered);
    this.#chunks = [joined];
    return joined;
  }

  /** Takes out a message of `length` bytes, whose body starts at `start`. */
  #takeBody(start: number, length: number): BodyCursor {
    const joined = this.#join();
    const isLast = joined.length === length;
    this.#chunks = isLast ? [] : [joined.subarray(length)];
    this.#buffered -= length;
    return new BodyCursor(joined, start, length);
  }
}

function targetOf(code: number): 'statement' | 'portal' {
  if (code === 0x53) return 'statement';
  if (code === 0x50) return 'portal';
  throw protocolViolation(`invalid message subtype ${code}`);
}

function decodeTyped(type: string, body: BodyCursor): FrontendMessage {
  try {
    const message = decodeBody(type, body);
    body.end();
    return message;
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.CharacterNotInRepertoire) throw error;
    return { type: 'badText', isQuery: type === 'Q', error };
  }
}

function decodeBody(type: string, body: BodyCursor): FrontendMessage {
  switch (type) {
    case 'Q':
      return { type: 'query', sql: body.text() };
    case 'P': {
      const name = body.text();
      const sql = body.text();
      const parameterOids: number[] = [];
      for (let count = body.int16(); count > 0; count--) parameterOids.push(body.int32() >>> 0);
      return { type: 'parse', name, sql, parameterOids };
    }
    case 'B': {
      const portal = body.text();
      const statement = body.text();
      const parameterFormats: WireFormat[] = [];
      for (let count = body.int16(); count > 0; count--) parameterFormats.push(body.format());
      const parameters: (Bytes | null)[] = [];
      for (let count = body.int16(); count > 0; count--) {
        const length = body.int32();
        parameters.push(length === -1 ? null : body.bytes(length));
      }
      const resultFormats: WireFormat[] = [];
      for (let count = body.int16(); count > 0; count--) resultFormats.push(body.format());
      return { type: 'bind', portal, statement, parameterFormats, parameters, resultFormats };
    }
    case 'D':
      return { type: 'describe', what: targetOf(body.int8()), name: body.text() };
    case 'E':
      return { type: 'execute', portal: body.text(), maxRows: Math.max(0, body.int32()) };
    case 'C':
      return { type: 'close', what: targetOf(body.int8()), name: body.text() };
    case 'S':
      return { type: 'sync' };
    case 'H':
      return { type: 'flush' };
    case 'X':
      return { type: 'terminate' };
    case 'p':
      return { type: 'password', body: body.rest() };
    case 'F':
      body.rest();
      return { type: 'functionCall' };
    case 'd':
      return { type: 'copyData', body: body.rest() };
    case 'c':
      return { type: 'copyDone' };
    case 'f':
      return { type: 'copyFail', reason: body.text() };
    default:
      throw protocolViolation(`unrecognized message type 0x${type.charCodeAt(0).toString(16).padStart(2, '0')}`);
  }
}
