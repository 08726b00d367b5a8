/** Messages by hand, for what no client library sends. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import type { ClientsServer } from './support.ts';

/** A message: texts are ended by a zero, bytes are as they are. Type '' is the start-up message. */
export function message(type: string, ...parts: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(type.length + 4);
  head.write(type);
  head.writeInt32BE(body.length + 4, type.length);
  return Buffer.concat([head, body]);
}

export const int32 = (value: number): Buffer => Buffer.from([value >> 24, value >> 16, value >> 8, value]);

export const int16 = (value: number): Buffer => Buffer.from([value >> 8, value]);

/** What a statement was answered with. */
export interface RawResult {
  /** SQLSTATE of an error. */
  readonly error: string | undefined;
  readonly oids: readonly number[];
  readonly rows: readonly (Buffer | null)[][];
}

export interface RawParameter {
  readonly format: 'text' | 'binary';
  readonly value: Buffer;
}

/** A connection that carries bytes as they are. */
export class RawClient {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #messages: { type: string; body: Buffer }[] = [];
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      while (this.#rest.length >= 5) {
        const size = this.#rest.readInt32BE(1) + 1;
        if (this.#rest.length < size) break;
        this.#messages.push({ type: String.fromCharCode(this.#rest[0] ?? 0), body: this.#rest.subarray(5, size) });
        this.#rest = this.#rest.subarray(size);
      }
      this.#wake();
    });
  }

  static async connect({ host, port, user, database }: ClientsServer): Promise<RawClient> {
    const socket = connect(port, host);
    await once(socket, 'connect');
    const client = new RawClient(socket);
    await client.#ask(message('', int32(196608), 'user', user, 'database', database, Buffer.from([0])));
    return client;
  }

  /** Runs a statement; results come in `format`. */
  async query(sql: string, parameters: readonly RawParameter[], format: 'text' | 'binary'): Promise<RawResult> {
    const codeOf = (one: 'text' | 'binary') => int16(one === 'binary' ? 1 : 0);
    const answers = await this.#ask(
      message('P', '', sql, int16(0)),
      message(
        'B',
        '',
        '',
        int16(parameters.length),
        ...parameters.map((parameter) => codeOf(parameter.format)),
        int16(parameters.length),
        ...parameters.flatMap(({ value }) => [int32(value.length), value]),
        int16(1),
        codeOf(format),
      ),
      message('D', Buffer.from('P'), ''),
      message('E', '', int32(0)),
      message('S'),
    );
    const error = answers
      .find(({ type }) => type === 'E')
      ?.body.toString()
      .match(/\0C(\w{5})\0/)?.[1];
    const described = answers.find(({ type }) => type === 'T')?.body;
    return {
      error,
      oids: described ? oidsOf(described) : [],
      rows: answers.filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body)),
    };
  }

  end(): void {
    this.#socket.end(message('X'));
  }

  async #ask(...messages: Buffer[]): Promise<{ type: string; body: Buffer }[]> {
    this.#messages = [];
    this.#socket.write(Buffer.concat(messages));
    while (this.#messages.at(-1)?.type !== 'Z') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#messages;
  }
}

function oidsOf(body: Buffer): number[] {
  const oids: number[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    at = body.indexOf(0, at) + 1;
    oids.push(body.readUInt32BE(at + 6));
    at += 18;
  }
  return oids;
}

function valuesOf(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const size = body.readInt32BE(at);
    values.push(size < 0 ? null : body.subarray(at + 4, at + 4 + size));
    at += 4 + Math.max(size, 0);
  }
  return values;
}
