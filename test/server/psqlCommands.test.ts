/** psql's own commands, run by a real psql: every list and description comes, and says what is there. Skipped where psql is absent. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';
import { hasPsql } from '../support/programs.ts';

const run = promisify(execFile);

interface Context {
  db: Varve;
  url: string;
  close(): Promise<void>;
}

const psqlCommands = suite<Context>('psql commands');

const SCHEMA = `
  CREATE SCHEMA shop;
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE customer (id INT PRIMARY KEY, name STRING UNIQUE DEFAULT 'nobody', m mood, amount DECIMAL(10,2) DEFAULT 0,
    twice INT AS (id * 2) STORED, CONSTRAINT positive CHECK (id > 0));
  CREATE TABLE parcel (id INT PRIMARY KEY, customer INT REFERENCES customer ON DELETE CASCADE, label VARCHAR(20) NOT NULL,
    INDEX by_label (label DESC), INDEX late (label) WHERE id > 5);
  CREATE VIEW names AS SELECT id, name FROM customer;
  CREATE SEQUENCE ticket;
  CREATE TABLE shop.item (a INT PRIMARY KEY);
  CREATE USER clerk;
  COMMENT ON TABLE customer IS 'who buys';
`;

psqlCommands.before(async (context) => {
  context.db = await open({ seed: 'psql' });
  await context.db.query(SCHEMA);
  const server = await context.db.listen();
  context.url = server.url;
  context.close = async () => {
    await server.close();
    await context.db.close();
  };
});

psqlCommands.after((context) => context.close());

/** What each command has to show. A command that fails ends psql with an error. */
const SHOWN: readonly (readonly [command: string, ...shown: (string | RegExp)[]])[] = [
  ['\\d', 'public|customer|table|root', 'public|names|view|root', 'public|ticket|sequence|root'],
  [
    '\\d customer',
    /name\|text\|+'nobody'/,
    'm|mood|',
    'amount|numeric(10,2)|||0',
    'generated always as (id * 2) stored',
    '"customer_pkey" PRIMARY KEY, btree (id ASC)',
    '"positive" CHECK ((id > 0))',
    'TABLE "parcel" CONSTRAINT "parcel_customer_fkey" FOREIGN KEY (customer) REFERENCES customer(id) ON DELETE CASCADE',
  ],
  ['\\d parcel', 'label|character varying(20)||not null', '"by_label" btree (label DESC)', '"late" btree (label ASC) WHERE (id > 5)'],
  ['\\d+ names', 'id|bigint', 'View definition:\nSELECT id, name FROM'],
  ['\\d ticket', 'bigint|1|1|9223372036854775807|1|no|1'],
  ['\\d by_label', 'label|character varying(20)|yes|label'],
  ['\\d shop.item', 'Table "shop.item"'],
  ['\\dt', 'public|customer|table|root'],
  ['\\dt+', 'who buys'],
  ['\\dt shop.*', 'shop|item|table|root'],
  ['\\l', 'defaultdb|root|UTF8', 'system|node'],
  ['\\dn', 'public|root', 'shop|root'],
  ['\\du', /clerk\|/, /root\|Superuser/],
  ['\\df abs', 'pg_catalog|abs|bigint|bigint|func'],
  ['\\da sum', 'pg_catalog|sum|numeric|bigint'],
  ['\\di', 'public|by_label|index|root|parcel'],
  ['\\dv', 'public|names|view|root'],
  ['\\ds', 'public|ticket|sequence|root'],
  ['\\dT', 'public|mood|'],
  ['\\dT+ mood', 'sad\nok'],
  ['\\dp customer', 'public|customer|table|'],
  ['\\db', 'pg_default'],
  ['\\dA', 'btree|Index'],
  ['\\dx', 'List of installed extensions'],
  ['\\dd', 'Object descriptions'],
  ['\\ddp', 'Default access privileges'],
  ['\\dO', 'List of collations'],
  ['\\do', 'List of operators'],
  ['\\dC', 'List of casts'],
  ['\\dL', 'List of languages'],
  ['\\dRp', 'List of publications'],
  ['\\dy', 'List of event triggers'],
  ['\\sv names', 'CREATE OR REPLACE VIEW public.names AS\nSELECT id, name FROM'],
  ['\\conninfo', 'You are connected to database "defaultdb" as user "root"'],
];

(hasPsql ? psqlCommands : psqlCommands.skip)('each lists and describes what is there', async ({ url }) => {
  const commands = SHOWN.flatMap(([command]) => ['-c', `\\echo ====${command.slice(1)}`, '-c', command]);
  const { stdout, stderr } = await run('psql', [url, '-X', '-A', '-v', 'ON_ERROR_STOP=1', ...commands]);
  assert.is(stderr, '');
  const answers = new Map(
    stdout
      .split('====')
      .slice(1)
      .map((answer) => [answer.slice(0, answer.indexOf('\n')), answer.slice(answer.indexOf('\n') + 1)] as const),
  );
  for (const [command, ...shown] of SHOWN) {
    const answer = answers.get(command.slice(1)) ?? '';
    for (const one of shown) {
      const isThere = typeof one === 'string' ? answer.includes(one) : one.test(answer);
      assert.ok(isThere, `${command} does not show ${one}:\n${answer}`);
    }
  }
});

psqlCommands.run();
