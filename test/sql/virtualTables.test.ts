/**
 * Virtual tables over a small schema, as golden scripts: test/golden/virtual/<topic>.
 *
 *   exec [session=a]    runs statements; prints each tag, or the error
 *   query [session=a] [user=u]   prints columns and rows, as text
 *   shapes schema=x     every table of a schema with its columns and types, read once: `name: column type, ...`
 */
import { pgTypname } from '../../src/catalog/type.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import { goldenSuite } from '../support/golden.ts';
import { describeError, openSql, type SqlHarness, textRows } from '../support/sqlHarness.ts';

goldenSuite('virtual', async () => {
  const db = await openSql({ localities: ['region=eu', 'region=us'] });
  return {
    async run(command) {
      const session = command.arg('session');
      try {
        switch (command.name) {
          case 'exec':
            return (await db.exec(command.input, { session })).map((result) => result.tag).join('\n');
          case 'query': {
            const user = command.arg('user');
            const results = user ? await asUser(db, user, command.input) : await db.exec(command.input, { session });
            const result = results.at(-1);
            const header = result?.columns?.map((column) => column.name) ?? [];
            const rows = textRows(result).map((row) => row.map((cell) => cell ?? 'NULL'));
            return [header, ...rows].map((cells) => cells.join(' | ').trimEnd()).join('\n');
          }
          case 'shapes': {
            const schema = command.arg('schema') ?? '';
            const lines: string[] = [];
            for (const table of db.engine.virtualTables.all()) {
              if (table.schema !== schema) continue;
              const result = (await db.exec(`SELECT * FROM ${schema}.${table.name}`)).at(-1);
              for (const row of result?.rows ?? [])
                if (row.length !== result?.columns?.length) lines.push(`${table.name}: a row of ${row.length}`);
              lines.push(`${table.name}: ${result?.columns?.map((column) => `${column.name} ${pgTypname(column.type)}`).join(', ')}`);
            }
            return lines.join('\n');
          }
          default:
            throw new Error(`${command.where}: unknown command ${command.name}`);
        }
      } catch (error) {
        return describeError(error);
      }
    },
    close: () => db.close(),
  };
});

async function asUser(db: SqlHarness, user: string, sql: string): Promise<StatementResult[]> {
  const session = db.engine.newSession({ user });
  try {
    return await session.execute(sql);
  } finally {
    session.close();
  }
}
