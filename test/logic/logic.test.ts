/**
 * Varve's own logic scripts (scripts/), each run twice: through the library and over the wire. What a
 * client sees must not depend on the way it came in.
 *
 * The form of a script: test/support/logicScript.ts. `REWRITE=1` writes the rows that came.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

import { ManualClock } from '../../src/base/manualClock.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { utf8Decode } from '../../src/base/bytes.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { open, type Varve } from '../../src/index.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { Notice } from '../../src/sql/exec/statement.ts';
import { textContextOf } from '../../src/sql/exec/textContext.ts';
import { type LogicOutcome, logicSuite, type LogicTarget } from '../support/logicRun.ts';

async function openTest(): Promise<Varve> {
  const db = await open({ seed: 'logic', clock: new ManualClock('2026-11-20T00:00:00Z') });
  await db.query('CREATE DATABASE test; CREATE USER testuser');
  return db;
}

const noticeText = ({ severity, message, detail, hint }: Pick<Notice, 'severity' | 'message' | 'detail' | 'hint'>): string =>
  [`${severity}: ${message}`, detail && `DETAIL: ${detail}`, hint && `HINT: ${hint}`].filter(Boolean).join('\n');

async function libraryTarget(): Promise<LogicTarget> {
  const db = await openTest();
  const sessions = new Map<string, Session>();
  return {
    place: 'library',
    async run(user, sql): Promise<LogicOutcome> {
      const session = sessions.get(user) ?? (await db.database.openSession({ user, database: 'test' }));
      sessions.set(user, session);
      const notices: string[] = [];
      try {
        const results = await session.execute(sql, { onResult: (result) => notices.push(...result.notices.map(noticeText)) });
        const shown = results.find((result) => result.columns) ?? results.at(-1);
        const context = textContextOf(session);
        const columns = shown?.columns ?? [];
        const text = (row: readonly unknown[]) =>
          columns.map(({ type }, index) => {
            const value = (row[index] ?? null) as Parameters<typeof formatDatum>[1] | null;
            if (value === null) return null;
            return type.family === 'string' ? utf8Decode(value as Parameters<typeof utf8Decode>[0]) : formatDatum(type, value, context);
          });
        return {
          columns: columns.map(({ name, type }) => ({ name, oid: type.oid })),
          rows: (shown?.rows ?? []).map(text),
          rowCount: results.at(-1)?.rowCount,
          notices,
          error: undefined,
        };
      } catch (error) {
        if (!isVarveError(error)) throw error;
        const { code, message, detail, hint } = error;
        return { columns: [], rows: [], rowCount: undefined, notices, error: { code, message, detail, hint } };
      }
    },
    close: () => db.close(),
  };
}

async function wireTarget(): Promise<LogicTarget> {
  const db = await openTest();
  const server = await db.listen();
  const clients = new Map<string, pg.Client>();
  let notices: string[] = [];
  const connect = async (user: string): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user, database: 'test' });
    client.on('notice', (notice) => notices.push(noticeText(notice as unknown as Notice)));
    client.on('error', () => {});
    await client.connect();
    clients.set(user, client);
    return client;
  };
  return {
    place: 'wire',
    async run(user, sql): Promise<LogicOutcome> {
      const client = clients.get(user) ?? (await connect(user));
      notices = [];
      try {
        const given = (await client.query({ text: sql, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } })) as
          | pg.QueryArrayResult<(string | null)[]>
          | pg.QueryArrayResult<(string | null)[]>[];
        const results = Array.isArray(given) ? given : [given];
        const shown = results.find((result) => result.fields.length > 0) ?? results.at(-1);
        return {
          columns: (shown?.fields ?? []).map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
          rows: shown?.rows ?? [],
          rowCount: results.at(-1)?.rowCount ?? undefined,
          notices,
          error: undefined,
        };
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw error;
        const { code = '', message, detail, hint } = error;
        return { columns: [], rows: [], rowCount: undefined, notices, error: { code, message, detail, hint } };
      }
    },
    async close() {
      for (const client of clients.values()) await client.end();
      await server.close();
      await db.close();
    },
  };
}

const folder = fileURLToPath(new URL('scripts/', import.meta.url));
const scripts = readdirSync(folder).sort();
if (scripts.length === 0) throw new Error(`no scripts in ${folder}`);
for (const script of scripts) {
  logicSuite(join(folder, script), 'library', libraryTarget);
  if (process.env.REWRITE !== '1') logicSuite(join(folder, script), 'wire', wireTarget);
}
