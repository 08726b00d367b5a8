/**
 * Values on the wire by hand: every type goes out in text and in binary, comes back as a binary
 * parameter, and is the same; binary parameters that are no value of their type are refused.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { RawClient } from './rawMessages.ts';
import { type ClientsServer, startClientsServer } from './support.ts';

interface Context {
  server: ClientsServer;
  client: RawClient;
}

const test = suite<Context>('binary values');

test.before(async (context) => {
  context.server = await startClientsServer('binary');
  context.client = await RawClient.connect(context.server);
  await context.client.query(`CREATE TYPE colour AS ENUM ('red', 'green')`, [], 'text');
});

test.after(async ({ client, server }) => {
  client.end();
  await server.close();
});

const text = (value: string) => ({ format: 'text', value: Buffer.from(value) }) as const;
const binary = (value: Buffer) => ({ format: 'binary', value }) as const;

/** Each type with literals of it, and the oid PostgreSQL has for it. */
const VALUES: readonly (readonly [type: string, oid: number, ...literals: string[]])[] = [
  ['bool', 16, 'true', 'false'],
  ['bytea', 17, '\\x00ff', ''],
  ['int8', 20, '9223372036854775807', '-9223372036854775808', '0'],
  ['int2', 21, '-32768', '7'],
  ['int4', 23, '2147483647', '-1'],
  ['text', 25, 'é ☃', ''],
  ['varchar', 1043, 'abc'],
  ['float4', 700, '1.5', '-Infinity', 'NaN'],
  ['float8', 701, '0.1', 'Infinity', '-1e-300'],
  ['numeric', 1700, '0', '-0.00012', '12345678901234567890.0100', '100000000000000000000', 'NaN', '10000', '0.5000'],
  ['date', 1082, '2026-02-03', '1999-12-31', 'infinity', '0044-03-15 BC'],
  ['time', 1083, '00:00:00', '23:59:59.999999', '24:00:00'],
  ['timetz', 1266, '12:30:00+05:30', '00:00:00-08'],
  ['timestamp', 1114, '2026-02-03 04:05:06.789012', '1970-01-01 00:00:00', '-infinity'],
  ['timestamptz', 1184, '2026-02-03 04:05:06.789012+00', '1999-12-31 23:59:59.999999+00', 'infinity'],
  ['interval', 1186, '1 year 2 mons 3 days 04:05:06.789', '-00:00:01', '00:00:00'],
  ['uuid', 2950, '00000000-0000-4000-8000-00000000002a'],
  ['jsonb', 3802, '{"a": [1, null, "x"]}', 'null', '1.50'],
  ['inet', 869, '192.168.0.1', '10.0.0.0/8', '2001:db8::1', '::/0'],
  ['bit(5)', 1560, '10101'],
  ['varbit', 1562, '1', '110100101', ''],
  ['oid', 26, '4294967295'],
  ['name', 19, 'some_name'],
  ['int4[]', 1007, '{1,NULL,3}', '{}'],
  ['text[]', 1009, '{a,"b,c",NULL,"NULL",""}'],
  ['numeric[]', 1231, '{1.50,NaN}'],
  ['timestamptz[]', 1185, '{"2026-02-03 04:05:06+00"}'],
  ['uuid[]', 2951, '{00000000-0000-4000-8000-00000000002a}'],
  ['jsonb[]', 3807, '{"{\\"a\\": 1}"}'],
  ['bool[]', 1000, '{t,f}'],
  ['colour', 0, 'green'],
  ['colour[]', 0, '{red,green}'],
];

for (const [type, oid, ...literals] of VALUES) {
  test(`${type} goes and comes, in text and in binary`, async ({ client }) => {
    for (const literal of literals) {
      const shown = await client.query(`SELECT $1::${type}`, [text(literal)], 'text');
      assert.equal([shown.error, oid > 0 ? shown.oids : []], [undefined, oid > 0 ? [oid] : []], literal);
      const [bytes] = (await client.query(`SELECT $1::${type}`, [text(literal)], 'binary')).rows[0] as [Buffer];
      // As a binary parameter it is the value that the text is.
      const again = await client.query(`SELECT $1::${type}`, [binary(bytes)], 'binary');
      const asText = await client.query(`SELECT $1::${type}`, [binary(bytes)], 'text');
      assert.equal(
        [again.error, again.rows[0]?.[0], asText.rows[0]?.[0]?.toString()],
        [undefined, bytes, shown.rows[0]?.[0]?.toString()],
        `${type} ${literal}`,
      );
    }
  });
}

test('bytes that are no value are refused', async ({ client }) => {
  const int64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  };
  const int32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const refused: readonly (readonly [type: string, value: Buffer, ...codes: string[]])[] = [
    ['time', int64(-1n), '22008'],
    ['time', int64(86_400_000_001n), '22008'],
    ['timetz', Buffer.concat([int64(0n), int32(70_000)]), '22008', '22009'],
    ['date', int32(2_147_483_000), '22008'],
    ['date', int32(-2_000_000_000), '22008'],
    ['timestamp', int64(-(2n ** 63n) + 1n), '22008'],
    ['timestamptz', int64(2n ** 63n - 2n), '22008'],
    ['int4', Buffer.from([1, 2]), '22P03', '08P01'],
    ['int8', Buffer.alloc(9), '22P03', '08P01'],
    ['uuid', Buffer.alloc(15), '22P03', '08P01'],
    ['numeric', Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]), '22P03', '08P01'],
    ['jsonb', Buffer.from('\x01{'), '22P02', '22P03'],
    ['int4[]', Buffer.from([0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 23]), '22P03', '0A000', '54000', '08P01'],
    ['text', Buffer.from([0xff]), '22021'],
  ];
  for (const [type, value, ...codes] of refused) {
    const { error = 'none' } = await client.query(`SELECT $1::${type}`, [binary(value)], 'text');
    assert.ok(codes.includes(error), `${type}: ${error}`);
  }
  assert.equal((await client.query('SELECT 1', [], 'text')).rows, [[Buffer.from('1')]]);
});

test.run();
