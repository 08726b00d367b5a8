/** The wire messages: whole ones out of any slicing of bytes, limits, and nothing but 08P01 or 54000 for garbage. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { asBytes } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { MessageWriter } from '../../src/server/pgwire/backendMessages.ts';
import { type FrontendMessage, MessageReader } from '../../src/server/pgwire/frontendMessages.ts';

const test = suite('pgwire messages');

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

const text = (value: string) => Buffer.from(`${value}\0`, 'utf8');

function typed(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function startup(parameters: Record<string, string>): Buffer {
  const body = Buffer.concat([
    int32(0x30000),
    ...Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)]),
    Buffer.from([0]),
  ]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function readAll(reader: MessageReader): FrontendMessage[] {
  const messages: FrontendMessage[] = [];
  for (let message = reader.next(); message; message = reader.next()) messages.push(message);
  return messages;
}

const CONVERSATION = Buffer.concat([
  startup({ user: 'root', database: 'defaultdb' }),
  typed('Q', text("SELECT 'é'")),
  typed('P', text('s1'), text('SELECT $1'), int16(1), int32(20)),
  typed('B', text(''), text('s1'), int16(1), int16(1), int16(2), int32(-1), int32(3), Buffer.from([0, 255, 7]), int16(0)),
  typed('D', Buffer.from('S'), text('s1')),
  typed('E', text(''), int32(10)),
  typed('C', Buffer.from('P'), text('p')),
  typed('S'),
  typed('X'),
]);

const EXPECTED: FrontendMessage[] = [
  { type: 'startup', minorVersion: 0, parameters: new Map(Object.entries({ user: 'root', database: 'defaultdb' })) },
  { type: 'query', sql: "SELECT 'é'" },
  { type: 'parse', name: 's1', sql: 'SELECT $1', parameterOids: [20] },
  { type: 'bind', portal: '', statement: 's1', parameterFormats: ['binary'], parameters: [null, asBytes('\0\xff\x07')], resultFormats: [] },
  { type: 'describe', what: 'statement', name: 's1' },
  { type: 'execute', portal: '', maxRows: 10 },
  { type: 'close', what: 'portal', name: 'p' },
  { type: 'sync' },
  { type: 'terminate' },
];

test('a conversation is cut into its messages', () => {
  const reader = new MessageReader();
  reader.push(CONVERSATION);
  assert.equal(readAll(reader), EXPECTED);
});

test('Sync is seen ahead when only what runs nothing stands before it, and all of that is here', () => {
  const close = typed('C', Buffer.from('P'), text('portal'));
  const cases: [Buffer, boolean][] = [
    [typed('S'), true],
    [Buffer.concat([close, typed('H'), typed('S'), typed('Q', text(''))]), true],
    [Buffer.concat([close, typed('H')]), false],
    [Buffer.concat([typed('E', text(''), int32(0)), typed('S')]), false],
  ];
  for (const [bytes, expected] of cases) {
    const reader = new MessageReader();
    reader.push(startup({ user: 'root' }));
    reader.next();
    for (let cut = 0; cut < bytes.length; cut++) {
      if (cut > 0) reader.push(bytes.subarray(cut - 1, cut));
      if (!expected || cut < bytes.indexOf(typed('S')) + 5) assert.not(reader.isSyncNext());
    }
    reader.push(bytes.subarray(-1));
    assert.is(reader.isSyncNext(), expected);
    assert.is(reader.buffered, bytes.length);
  }
});

test('however the bytes arrive', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }), (sizes) => {
      const reader = new MessageReader();
      const messages: FrontendMessage[] = [];
      for (let at = 0, turn = 0; at < CONVERSATION.length; turn++) {
        const size = sizes[turn % sizes.length] as number;
        reader.push(CONVERSATION.subarray(at, at + size));
        at += size;
        messages.push(...readAll(reader));
      }
      assert.equal(messages, EXPECTED);
    }),
    { numRuns: 100, seed: 1 },
  );
});

test('requests before start-up', () => {
  const reader = new MessageReader();
  reader.push(Buffer.concat([int32(8), int32(80877103)]));
  assert.equal(reader.next(), { type: 'sslRequest' });
  reader.push(Buffer.concat([int32(16), int32(80877102), int32(7), int32(9)]));
  assert.equal(reader.next(), { type: 'cancelRequest', processId: 7, secretKey: 9 });
});

test('a length above the limit is refused before its bytes arrive', () => {
  const reader = new MessageReader(1000);
  reader.push(startup({ user: 'root' }));
  reader.next();
  reader.push(Buffer.concat([Buffer.from('Q'), int32(1005)]));
  assert.throws(
    () => reader.next(),
    (error: unknown) => isVarveError(error) && error.code === '54000',
  );
});

test('garbage is 08P01 or 54000, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (garbage, afterStartup) => {
      const reader = new MessageReader();
      if (afterStartup) {
        reader.push(startup({ user: 'root' }));
        reader.next();
      }
      reader.push(Buffer.from(garbage));
      try {
        readAll(reader);
      } catch (error) {
        assert.ok(isVarveError(error) && ['08P01', '54000'].includes(error.code), String(error));
      }
    }),
    { numRuns: 2000, seed: 2 },
  );
});

test('the writer frames messages and keeps NULL apart from empty', () => {
  const writer = new MessageWriter();
  writer.dataRow([asBytes('a'), null, asBytes('')]);
  writer.commandComplete('SELECT 1');
  writer.readyForQuery('I');
  assert.equal(
    writer.take().toString('latin1'),
    Buffer.concat([
      typed('D', int16(3), int32(1), Buffer.from('a'), int32(-1), int32(0)),
      typed('C', text('SELECT 1')),
      typed('Z', Buffer.from('I')),
    ]).toString('latin1'),
  );
  assert.is(writer.length, 0);
});

test('an error carries its fields, and no zero byte can end one early', () => {
  const writer = new MessageWriter();
  writer.errorResponse({ severity: 'ERROR', code: '42601', message: 'bad\0 é', hint: 'h', position: 3 });
  const body = writer.take().subarray(5).toString('utf8');
  assert.is(body, 'SERROR\0VERROR\0C42601\0Mbad é\0Hh\0P3\0\0');
});

test('the buffer grows for a large row and shrinks again', () => {
  const writer = new MessageWriter();
  writer.dataRow([asBytes('x'.repeat(1_000_000))]);
  assert.is(writer.take().length, 1_000_000 + 1 + 4 + 2 + 4);
  writer.readyForQuery('T');
  assert.is(writer.take().length, 6);
});

test.run();
