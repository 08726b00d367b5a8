/** Statements about schedules: what is parsed, and that printing it gives the same tree again. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { parseStatements } from '../../../src/sql/parse/parse.ts';
import { printStatement } from '../../../src/sql/parse/printer.ts';

const test = suite('statements about schedules');

/** The tree without positions. */
function tree(sql: string): unknown {
  const [parsed] = parseStatements(sql);
  return JSON.parse(JSON.stringify(parsed?.ast, (key, value: unknown) => (key === 'pos' ? undefined : value)));
}

const STATEMENTS = [
  "CREATE SCHEDULE FOR BACKUP INTO 'a' RECURRING '@daily'",
  "CREATE SCHEDULE IF NOT EXISTS nightly FOR BACKUP DATABASE a, b INTO ('a', 'b') WITH revision_history, execution locality = 'r=e' RECURRING '@daily' FULL BACKUP ALWAYS",
  "CREATE SCHEDULE 'two words' FOR BACKUP TABLE d.s.t, d.* INTO 'a' WITH OPTIONS (kms = ('k', 'l'), detached) RECURRING '@daily' FULL BACKUP '@weekly'",
  'CREATE SCHEDULE $1 FOR BACKUP INTO $4 WITH encryption_passphrase = $5 RECURRING $2 FULL BACKUP $3 WITH SCHEDULE OPTIONS first_run = $6',
  "CREATE SCHEDULE schedule FOR BACKUP t INTO 'a' RECURRING '@daily' WITH SCHEDULE OPTIONS (ignore_existing_backups, on_previous_running = 'skip')",
  "ALTER BACKUP SCHEDULE 5 SET LABEL 'a', SET INTO 'b', SET WITH revision_history, SET RECURRING '@daily', SET FULL BACKUP ALWAYS",
  "ALTER BACKUP SCHEDULE $1 SET WITH OPTIONS (kms = ('k', 'l'), revision_history = false), SET FULL BACKUP '@weekly', SET SCHEDULE OPTION retention = '1 day'",
  'ALTER BACKUP SCHEDULE 5 EXECUTE IMMEDIATELY',
  'ALTER BACKUP SCHEDULE 5 EXECUTE FULL IMMEDIATELY',
  'SHOW SCHEDULES',
  'SHOW RUNNING SCHEDULES FOR BACKUP',
  'SHOW PAUSED SCHEDULES FOR SQL STATISTICS',
  'SHOW SCHEDULES FOR CHANGEFEED',
  'SHOW SCHEDULE 5',
  'SHOW CREATE SCHEDULE 5',
  'SHOW CREATE ALL SCHEDULES',
  'PAUSE SCHEDULE 5',
  "RESUME SCHEDULES WITH x AS (SHOW SCHEDULES) SELECT id FROM x WHERE label = 'l'",
  'DROP SCHEDULES SELECT 1',
  'EXECUTE SCHEDULE 5',
];

for (const sql of STATEMENTS) {
  test(sql, () => {
    const [parsed] = parseStatements(sql);
    assert.ok(parsed);
    const printed = printStatement(parsed.ast, { showSecrets: true });
    assert.equal(tree(printed), tree(sql), printed);
  });
}

test('secrets are printed only where they are asked for', () => {
  const [parsed] = parseStatements(
    "CREATE SCHEDULE FOR BACKUP INTO 's3://b?AWS_SECRET_ACCESS_KEY=s' WITH encryption_passphrase = 'p', kms = 'aws:///k?AWS_SECRET_ACCESS_KEY=s' RECURRING '@daily'",
  );
  assert.ok(parsed);
  assert.is(
    printStatement(parsed.ast),
    "CREATE SCHEDULE FOR BACKUP INTO 's3://b?AWS_SECRET_ACCESS_KEY=redacted' WITH encryption_passphrase = '*****', kms = 'aws:///k?AWS_SECRET_ACCESS_KEY=redacted' RECURRING '@daily'",
  );
});

test('the new words are names still', () => {
  for (const word of ['recurring', 'immediately', 'label', 'running', 'paused', 'changefeed']) {
    assert.is(parseStatements(`SELECT ${word} FROM ${word} AS ${word}`)[0]?.ast.kind, 'select');
  }
  assert.is(parseStatements('EXECUTE schedule')[0]?.ast.kind, 'execute');
  assert.is(parseStatements('EXECUTE schedule(1)')[0]?.ast.kind, 'execute');
  assert.is(parseStatements('SHOW running')[0]?.ast.kind, 'showVariable');
});

test.run();
