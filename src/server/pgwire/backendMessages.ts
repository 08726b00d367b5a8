/**
 * What the server sends: messages appended to one growing buffer, flushed whole to the socket.
 *
 * Column values arrive as `Bytes` already in their wire form, so a row is written by latin1 copies
 * with no conversion. The writer knows no socket and no SQL.
 *
 * Source: PostgreSQL documentation, "Message Formats" and "Error and Notice Message Fields".
 */
import type { Bytes } from '../../base/bytes.ts';
import type { WireFormat } from './frontendMessages.ts';

export interface FieldDescription {
  readonly name: string;
  readonly tableOid: number;
  readonly columnId: number;
  readonly typeOid: number;
  /** Bytes, or negative for variable width. */
  readonly typeSize: number;
  readonly typeModifier: number;
  readonly format: WireFormat;
}

/** The fields of ErrorResponse and NoticeResponse that Varve fills. */
export interface ReportFields {
  readonly severity: 'ERROR' | 'FATAL' | 'WARNING' | 'NOTICE';
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based char offset in the statement. */
  readonly position?: number | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
}

export type TransactionStatus = 'I' | 'T' | 'E';

const INITIAL_BYTES = 8 * 1024;
/** Answers up to this size are copied out of the buffer, which is used again. */
const SMALL_BYTES_MAX = 2048;
/** Texts and values up to this size are written byte by byte: a native call costs more. */
const SHORT_CHARS_MAX = 32;
/** A drained buffer larger than this is dropped, so one large result does not stay held for good. */
const KEPT_BYTES_MAX = 256 * 1024;

export class MessageWriter {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;
  #messageStart = 0;

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#length;
  }

  /** Everything written so far; the writer starts anew. The caller owns the buffer. */
  take(): Buffer {
    if (this.#length <= SMALL_BYTES_MAX) {
      // From the pool, so that an answer of a hundred bytes does not cost a buffer of its own.
      const copy = Buffer.allocUnsafe(this.#length);
      this.#buffer.copy(copy, 0, 0, this.#length);
      this.#length = 0;
      return copy;
    }
    const taken = this.#buffer.subarray(0, this.#length);
    const size = this.#length > KEPT_BYTES_MAX ? INITIAL_BYTES : Math.max(INITIAL_BYTES, Math.min(this.#buffer.length, KEPT_BYTES_MAX));
    this.#buffer = Buffer.allocUnsafe(size);
    this.#length = 0;
    return taken;
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  #begin(type: string): void {
    this.#reserve(5);
    this.#messageStart = this.#length;
    this.#buffer[this.#length] = type.charCodeAt(0);
    this.#length += 5;
  }

  #end(): void {
    this.#buffer.writeInt32BE(this.#length - this.#messageStart - 1, this.#messageStart + 1);
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#buffer.writeInt16BE(value, this.#length);
    this.#length += 2;
  }

  /** Counts are unsigned: a statement may have 65,535 parameters. */
  #count(value: number): void {
    this.#reserve(2);
    this.#buffer.writeUInt16BE(value, this.#length);
    this.#length += 2;
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#buffer.writeInt32BE(value | 0, this.#length);
    this.#length += 4;
  }

  #text(text: string): void {
    if (text.length <= SHORT_CHARS_MAX && this.#asciiText(text)) return;
    const size = Buffer.byteLength(text, 'utf8');
    this.#reserve(size + 1);
    this.#buffer.utf8Write(text.replaceAll('\0', ''), this.#length);
    this.#length += text.includes('\0') ? Buffer.byteLength(text.replaceAll('\0', '')) : size;
    this.#buffer[this.#length++] = 0;
  }

  /** False, with nothing written, unless every char is ASCII and none is zero. */
  #asciiText(text: string): boolean {
    this.#reserve(text.length + 1);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 0 || code > 0x7f) return false;
      buffer[at++] = code;
    }
    buffer[at++] = 0;
    this.#length = at;
    return true;
  }

  #empty(type: string): void {
    this.#begin(type);
    this.#end();
  }

  /** One raw byte outside any message: the answer to SSLRequest and GSSENCRequest. */
  rawByte(byte: 'N' | 'S'): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte.charCodeAt(0);
  }

  /** Tells a client that asked for more that 3.0 is spoken, without these extensions. */
  negotiateProtocolVersion(extensions: readonly string[]): void {
    this.#begin('v');
    this.#int32(0);
    this.#int32(extensions.length);
    for (const name of extensions) this.#text(name);
    this.#end();
  }

  authenticationOk(): void {
    this.#begin('R');
    this.#int32(0);
    this.#end();
  }

  authenticationSasl(mechanisms: readonly string[]): void {
    this.#begin('R');
    this.#int32(10);
    for (const mechanism of mechanisms) this.#text(mechanism);
    this.#text('');
    this.#end();
  }

  authenticationSaslContinue(data: string): void {
    this.#begin('R');
    this.#int32(11);
    this.#ascii(data);
    this.#end();
  }

  authenticationSaslFinal(data: string): void {
    this.#begin('R');
    this.#int32(12);
    this.#ascii(data);
    this.#end();
  }

  /** ASCII without an end mark: the message's length is its end. */
  #ascii(text: string): void {
    this.#reserve(text.length);
    this.#buffer.latin1Write(text, this.#length);
    this.#length += text.length;
  }

  parameterStatus(name: string, value: string): void {
    this.#begin('S');
    this.#text(name);
    this.#text(value);
    this.#end();
  }

  backendKeyData(processId: number, secretKey: number): void {
    this.#begin('K');
    this.#int32(processId);
    this.#int32(secretKey);
    this.#end();
  }

  readyForQuery(status: TransactionStatus): void {
    this.#begin('Z');
    this.#reserve(1);
    this.#buffer[this.#length++] = status.charCodeAt(0);
    this.#end();
  }

  parseComplete(): void {
    this.#empty('1');
  }

  bindComplete(): void {
    this.#empty('2');
  }

  closeComplete(): void {
    this.#empty('3');
  }

  noData(): void {
    this.#empty('n');
  }

  emptyQueryResponse(): void {
    this.#empty('I');
  }

  portalSuspended(): void {
    this.#empty('s');
  }

  parameterDescription(oids: readonly number[]): void {
    this.#begin('t');
    this.#count(oids.length);
    for (const oid of oids) this.#int32(oid);
    this.#end();
  }

  rowDescription(fields: readonly FieldDescription[]): void {
    this.#begin('T');
    this.#count(fields.length);
    for (const field of fields) {
      this.#text(field.name);
      this.#int32(field.tableOid);
      this.#int16(field.columnId);
      this.#int32(field.typeOid);
      this.#int16(field.typeSize);
      this.#int32(field.typeModifier);
      this.#int16(field.format === 'binary' ? 1 : 0);
    }
    this.#end();
  }

  /** Whole messages, made before. */
  ready(messages: Buffer): void {
    this.#reserve(messages.length);
    messages.copy(this.#buffer, this.#length);
    this.#length += messages.length;
  }

  /** `values[i]` is the wire form of column i; null is NULL. Cost: one latin1 copy a value. */
  dataRow(values: readonly (Bytes | null)[]): void {
    this.#begin('D');
    this.#count(values.length);
    for (const value of values) {
      if (value === null) {
        this.#int32(-1);
        continue;
      }
      const size = value.length;
      this.#reserve(4 + size);
      this.#buffer.writeInt32BE(size, this.#length);
      const at = this.#length + 4;
      if (size > SHORT_CHARS_MAX) this.#buffer.latin1Write(value, at, size);
      else for (let i = 0; i < size; i++) this.#buffer[at + i] = value.charCodeAt(i);
      this.#length = at + size;
    }
    this.#end();
  }

  commandComplete(tag: string): void {
    this.#begin('C');
    this.#text(tag);
    this.#end();
  }

  /** COPY's data goes in this form from now on, to the server (in) or to the client (out). */
  copyResponse(direction: 'in' | 'out', format: WireFormat, columnCount: number): void {
    const code = format === 'binary' ? 1 : 0;
    this.#begin(direction === 'in' ? 'G' : 'H');
    this.#reserve(1);
    this.#buffer[this.#length++] = code;
    this.#count(columnCount);
    for (let i = 0; i < columnCount; i++) this.#int16(code);
    this.#end();
  }

  copyData(data: Bytes): void {
    this.#begin('d');
    this.#reserve(data.length);
    this.#buffer.latin1Write(data, this.#length, data.length);
    this.#length += data.length;
    this.#end();
  }

  copyDone(): void {
    this.#empty('c');
  }

  errorResponse(fields: ReportFields): void {
    this.#report('E', fields);
  }

  noticeResponse(fields: ReportFields): void {
    this.#report('N', fields);
  }

  #report(type: 'E' | 'N', fields: ReportFields): void {
    this.#begin(type);
    const field = (letter: string, value: string | number | undefined) => {
      if (value === undefined) return;
      this.#reserve(1);
      this.#buffer[this.#length++] = letter.charCodeAt(0);
      this.#text(String(value));
    };
    field('S', fields.severity);
    field('V', fields.severity);
    field('C', fields.code);
    field('M', fields.message);
    field('D', fields.detail);
    field('H', fields.hint);
    field('P', fields.position);
    field('s', fields.schema);
    field('t', fields.table);
    field('c', fields.column);
    field('n', fields.constraint);
    this.#reserve(1);
    this.#buffer[this.#length++] = 0;
    this.#end();
  }
}
