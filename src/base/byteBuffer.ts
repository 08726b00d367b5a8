/**
 * ByteWriter and ByteReader: the shared ground of the two codecs.
 *
 * A writer builds one byte string at a time in a buffer that it keeps, and hands it out as one flat
 * string: built by concatenation it would be a rope, which costs 32 bytes a piece and is flattened
 * at the first comparison. A reader walks a byte string by a position, without slicing.
 */
import type { Bytes } from './bytes.ts';
import { CorruptionError } from './errors.ts';
import { SqlState } from './sqlState.ts';

/** Reinterprets the eight bytes of a float; big-endian through DataView. */
const floatView = new DataView(new ArrayBuffer(8));

export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Starts over. */
  reset(): this {
    this.#length = 0;
    return this;
  }

  /** What was written since the last reset, as a flat string. */
  finish(): Bytes {
    return this.#buffer.latin1Slice(0, this.#length) as Bytes;
  }

  /** One byte; bits above the lowest eight are dropped. */
  byte(value: number): void {
    if (this.#length === this.#buffer.length) this.#grow(1);
    this.#buffer[this.#length++] = value;
  }

  /** These bytes as they are. */
  raw(bytes: Bytes): void {
    const count = bytes.length;
    if (this.#length + count > this.#buffer.length) this.#grow(count);
    if (count < 16) {
      for (let i = 0; i < count; i++) this.#buffer[this.#length + i] = bytes.charCodeAt(i);
    } else {
      this.#buffer.latin1Write(bytes, this.#length, count);
    }
    this.#length += count;
  }

  /** Inverts every bit written from `from` on: a descending form from an ascending one. */
  invertFrom(from: number): void {
    for (let i = from; i < this.#length; i++) this.#buffer[i] = ~(this.#buffer[i] as number);
  }

  /** The eight bytes of a float, most significant first, all bits inverted when asked. */
  float64(value: number, inverted = false): void {
    floatView.setFloat64(0, value);
    for (let i = 0; i < 8; i++) this.byte(inverted ? ~floatView.getUint8(i) : floatView.getUint8(i));
  }

  #grow(count: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + count));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

export class ByteReader {
  bytes: Bytes;
  /** Index of the next byte. */
  position: number;

  constructor(bytes: Bytes = '' as Bytes, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  /** Reads other bytes from now on. */
  reset(bytes: Bytes, position = 0): this {
    this.bytes = bytes;
    this.position = position;
    return this;
  }

  get done(): boolean {
    return this.position >= this.bytes.length;
  }

  /** The next byte without taking it; -1 at the end. */
  peek(): number {
    return this.position < this.bytes.length ? this.bytes.charCodeAt(this.position) : -1;
  }

  /** The next byte. Throws XX001 at the end. */
  byte(): number {
    if (this.position >= this.bytes.length) throw this.corrupt('unexpected end');
    return this.bytes.charCodeAt(this.position++);
  }

  /** The next `count` bytes. Throws XX001 when there are fewer. */
  raw(count: number): Bytes {
    const end = this.position + count;
    if (end > this.bytes.length) throw this.corrupt(`${count} bytes wanted`);
    const slice = this.bytes.slice(this.position, end) as Bytes;
    this.position = end;
    return slice;
  }

  float64(inverted = false): number {
    for (let i = 0; i < 8; i++) floatView.setUint8(i, inverted ? ~this.byte() : this.byte());
    return floatView.getFloat64(0);
  }

  /** The error for bytes that no encoder wrote. */
  corrupt(what: string): CorruptionError {
    return new CorruptionError(SqlState.DataCorrupted, `cannot decode bytes: ${what} at byte ${this.position} of ${this.bytes.length}`, {
      offset: this.position,
    });
  }
}
