/**
 * Scripts of schedules, on a whole database and a manual clock, for golden suites.
 *
 *   sql [user=joe]  runs the statements in the input; prints each result's rows, or its tag, and notices. `$s1` stands for
 *                   the id of the first schedule that the script has seen, `$s2` of the second
 *   advance BY      moves the clock
 *   settle          lets everything that can run now run
 *   backups PLACE   the layers in mem://PLACE: which full, up to when
 *   protected       the records that schedules hold
 *   metric NAME     its value
 *   storage PLACE refuse|allow   from now on every write to mem://PLACE fails, or none does
 *   node stop|start ID
 *   fork            works on a fork of the database from now on
 *
 * Times print as they are, without parts of seconds; ids of schedules as s1, s2, of jobs as <job>.
 */
import { isVarveError, StorageError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { formatUtc } from '../../src/base/timestamp.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';

const START = '2026-11-20T10:30:00Z';

/** A database for one script: Friday, half past ten. */
export async function openScheduleScript(options: DatabaseOptions = {}): Promise<GoldenHandler> {
  const refused = new Set<string>();
  const memory = new MemoryFiles();
  // What lies in S3 lies in memory here, under its name.
  const wrapStorage = (storage: ExternalStorage) =>
    storage.uri.scheme === 's3' ? named(openMemory(ParsedUri.parse('mem://s3'), memory), storage.uri) : refusing(storage, refused);
  const opened = [
    await Database.open({ clock: new ManualClock(START), executor: new InlineExecutor(), seed: 'golden', wrapStorage, ...options }),
  ];
  const sessions = new Map<string, Session>();
  const ids: string[] = [];
  const current = () => opened.at(-1) as Database;

  const runSql = async (command: GoldenCommand): Promise<string> => {
    const text = command.input.replace(/\$s(\d+)/g, (_, number) => ids[Number(number) - 1] ?? '0');
    const user = command.arg('user') ?? 'root';
    const session = sessions.get(user) ?? current().newSession({ user });
    sessions.set(user, session);
    const outputs: string[] = [];
    try {
      await session.execute(text, { onResult: (result) => outputs.push(...show(result, ids)) });
    } catch (error) {
      if (!isVarveError(error)) throw error;
      outputs.push(`error ${error.code}: ${error.message}`);
      if (error.detail !== undefined) outputs.push(`detail: ${error.detail}`);
      if (error.hint !== undefined) outputs.push(`hint: ${error.hint}`);
    }
    return outputs.join('\n');
  };

  const run = async (command: GoldenCommand): Promise<string> => {
    const [first = '', second = ''] = [...command.args.keys()];
    const { clock } = current();
    if (!(clock instanceof ManualClock)) throw new Error('the clock is not a manual one');
    switch (command.name) {
      case 'sql':
        return await runSql(command);
      case 'advance':
        await clock.advance(first);
        return formatUtc(clock.nowMicros() as never);
      case 'settle':
        await clock.activity.settled();
        return '';
      case 'backups': {
        const session = current().newSession();
        const [shown] = await session.execute(`SHOW BACKUPS IN 'mem://${first}'`);
        const lines: string[] = [];
        for (const [path] of shown?.rows ?? []) {
          const [layers] = await session.execute(
            `SELECT DISTINCT backup_type, end_time FROM [SHOW BACKUP FROM '${path}' IN 'mem://${first}'] ORDER BY end_time`,
          );
          lines.push(`${path}: ${(layers ? show(layers, ids) : []).join('; ')}`);
        }
        session.close();
        return lines.join('\n') || 'none';
      }
      case 'protected':
        return (
          current()
            .kv.gc.protections.list()
            .filter(({ metaType }) => metaType === 'schedules')
            .map(({ ts, meta, target }) => `${meta} holds ${target.kind === 'cluster' ? 'the cluster' : 'objects'} since ${formatUtc(ts)}`)
            .join('\n') || 'none'
        );
      case 'metric': {
        const found = (await current().kv.metrics.read()).filter(({ name }) => name === first);
        if (found.length === 0) throw new Error(`no metric ${first}`);
        return found.map(({ value }) => String(value)).join('\n');
      }
      case 'storage':
        if (second === 'refuse') refused.add(first);
        else refused.delete(first);
        return '';
      case 'node':
        if (first === 'stop') current().kv.cluster.stopNode(Number(second));
        else current().kv.cluster.startNode(Number(second));
        return '';
      case 'fork':
        opened.push(await current().fork());
        sessions.clear();
        return '';
      default:
        throw new Error(`no command ${command.name}`);
    }
  };
  return {
    run: async (command) => mask(await run(command), ids),
    close: async () => {
      for (const db of opened.reverse()) await db.close();
    },
  };
}

/** Rows as `name=value` of what is not NULL, or the tag; then the notices. */
function show({ tag, columns, rows, notices }: StatementResult, ids: string[]): string[] {
  const told = notices.map(({ severity, message }) => `${severity}: ${message}`);
  if (columns === undefined) return [tag, ...told];
  const lines = rows.map((row) =>
    columns
      .flatMap(({ name, type }, i) => {
        const value = row[i] ?? null;
        if ((name === 'schedule_id' || name === 'id') && typeof value === 'number' && !ids.includes(String(value))) ids.push(String(value));
        return value === null ? [] : [`${name}=${formatDatum(type, value)}`];
      })
      .join(' '),
  );
  return [...(lines.length === 0 ? ['no rows'] : lines), ...told];
}

function mask(text: string, ids: readonly string[]): string {
  let masked = text;
  ids.forEach((id, i) => {
    masked = masked.replaceAll(id, `s${i + 1}`);
  });
  return masked
    .replace(/\b\d{16}\b/g, '<job>')
    .replace(/(\d\d:\d\d:\d\d)\.\d{1,6}/g, '$1')
    .replace(/\b\d{10}\.\d{9},0/g, '<time>')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>');
}

function named(storage: ExternalStorage, uri: ParsedUri): ExternalStorage {
  return new Proxy(storage, {
    get(target, property) {
      if (property === 'uri') return uri;
      const value = Reflect.get(target, property) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function refusing(storage: ExternalStorage, refused: ReadonlySet<string>): ExternalStorage {
  const isRefused = () => [...refused].some((place) => String(storage.uri).startsWith(`mem://${place}`));
  return new Proxy(storage, {
    get(target, property) {
      const value = Reflect.get(target, property) as unknown;
      if (typeof value !== 'function') return value;
      if (property !== 'write' && property !== 'create' && property !== 'writer') return value.bind(target);
      return async (...args: unknown[]) => {
        if (isRefused()) {
          const redactedUri = String(storage.uri);
          throw new StorageError(SqlState.InsufficientResources, 'the disk is full', {
            operation: 'write',
            redactedUri,
            isRetryable: false,
          });
        }
        return await value.apply(target, args);
      };
    },
  });
}
