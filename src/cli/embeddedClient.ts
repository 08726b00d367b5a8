/**
 * SqlClient over a database in this process: the same engine and session as the wire, no socket.
 */
import { utf8Encode } from '../base/bytes.ts';
import { requireTimeZone } from '../catalog/datetime.ts';
import type { Datum } from '../catalog/datum.ts';
import { formatter, parseDatum } from '../catalog/datumText.ts';
import type { ColumnType } from '../catalog/type.ts';
import { Database } from '../server/database.ts';
import type { ResultColumn, StatementResult } from '../sql/exec/statement.ts';
import type { ExternalIoRuleOptions } from './externalIoFlags.ts';
import type { TextResult } from './resultFormat.ts';
import { type ClientNotice, NUMERIC_OIDS, type SqlClient } from './sqlClient.ts';

export interface EmbeddedOptions extends Partial<ExternalIoRuleOptions> {
  readonly database: string;
  readonly user: string;
  /** Undefined refuses nodelocal. */
  readonly externalIoDir: string | undefined;
}

/** Opens a database that lives as long as the client. */
export async function openEmbeddedClient(options: EmbeddedOptions): Promise<SqlClient> {
  const { externalIoDir, database: name, user, ...rules } = options;
  const database = await Database.open({ ...rules, ...(externalIoDir === undefined ? {} : { externalIoDir }) });
  try {
    await database.requireDatabase(name);
  } catch (error) {
    await database.close();
    throw error;
  }
  const client = embeddedClient(database, { database: name, user });
  return {
    ...client,
    async close() {
      await client.close();
      await database.close();
    },
  };
}

/** A session on an open database; closing the client leaves the database open. */
export function embeddedClient(database: Database, options: { database?: string; user?: string } = {}): SqlClient {
  const session = database.newSession(options);
  const listeners: ((notice: ClientNotice) => void)[] = [];
  const announce = (notices: StatementResult['notices']) => {
    for (const notice of notices) for (const listener of listeners) listener(notice);
  };
  const texts = (columns: readonly ResultColumn[], rows: readonly Datum[][]): (string | null)[][] => {
    const context = { timeZone: requireTimeZone(session.vars.get('timezone')) };
    const formats = columns.map((column) => formatter(column.type));
    return rows.map((row) => formats.map((format, index) => (row[index] === null ? null : format(row[index] as Datum, context))));
  };
  const toText = (tag: string, columns: readonly ResultColumn[] | undefined, rows: readonly Datum[][]): TextResult =>
    columns
      ? { tag, columns: columns.map(({ name, type }) => ({ name, isNumeric: NUMERIC_OIDS.has(type.oid) })), rows: texts(columns, rows) }
      : { tag, rows: [] };

  return {
    user: session.user,
    async run(sql) {
      const result = (await session.execute(sql)).at(-1);
      if (!result) return { tag: '', rows: [] };
      announce(result.notices);
      return toText(result.tag, result.columns, result.rows);
    },
    async runWith(sql, parameters) {
      const prepared = await session.prepare('', sql);
      const values = parameters.map((value, index) => {
        if (value === null) return null;
        const type = prepared.parameterTypes[index] as ColumnType;
        if (Buffer.isBuffer(value)) return parseDatum(type, `\\x${value.toString('hex')}`);
        return type.family === 'string' ? utf8Encode(value) : parseDatum(type, value);
      });
      session.bind('', '', values);
      const result = await session.executePortal('');
      announce(result.notices);
      return toText(result.tag ?? '', prepared.columns, result.rows);
    },
    async cancel() {
      session.cancel();
    },
    onNotice(listener) {
      listeners.push(listener);
    },
    async close() {
      session.close();
    },
  };
}
