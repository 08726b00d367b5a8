/**
 * Scripts of backups in SQL, on a whole database and a manual clock, for golden suites.
 *
 *   sql [user=joe] [node=2]  runs the statements in the input; prints each result's rows, or its tag. `$NAME`
 *                   stands for a time that `mark` took, in AS OF SYSTEM TIME's decimal form;
 *                   `$job` for the last job id that a result had
 *   mark NAME       takes the present time
 *   advance BY      moves the clock
 *   settle          lets everything that can run now run
 *   files [PREFIX]  what is in mem://bucket, as collections list it
 *   move FROM TO    moves the files whose names begin with FROM there; without TO deletes them
 *   remove TEXT     deletes the one file whose name has this in it; flip TEXT changes a bit in its middle
 *   node stop|start ID
 *   kms refuse|away|allow KEY   from now on the KMS refuses mem-kms:///KEY, does not answer for it, or does again
 *   metric NAME     its value, as /_status/vars has it
 *
 * Times print as seconds since the script's start (@12s), job ids as <job>, uuids as <uuid>.
 */
import { randomBytes } from 'node:crypto';

import { isVarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { formatDecimal, type Timestamp } from '../../src/base/timestamp.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import { MemoryKeys, openMemoryKms } from '../../src/storage/kms/memoryKms.ts';
import { ListingLocks, withListings } from '../../src/storage/listed.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';
import { maskText } from './maskText.ts';

const START = '2026-11-20T12:00:00Z';

/** A database for one script. */
export async function openSqlScript(options: DatabaseOptions): Promise<GoldenHandler> {
  const clock = new ManualClock(START);
  const db = await Database.open({ clock, executor: new InlineExecutor(), seed: 'golden', ...options });
  const keys = new MemoryKeys((count) => randomBytes(count));
  db.storage.secrets.registerKms('mem-kms', (uri) => openMemoryKms(uri, keys));
  const sessions = new Map<string, Session>();
  const marks = new Map<string, Timestamp>();
  let job = 0;

  const run = async (command: GoldenCommand): Promise<string> => {
    const [first = '', second = ''] = [...command.args.keys()];
    switch (command.name) {
      case 'sql': {
        const text = command.input.replace(/\$(\w+)/g, (whole, name) => {
          const mark = marks.get(name);
          return mark !== undefined ? formatDecimal(mark) : name === 'job' ? String(job) : whole;
        });
        const user = command.arg('user') ?? 'root';
        const nodeId = Number(command.arg('node') ?? 1);
        const session = sessions.get(`${user} ${nodeId}`) ?? db.newSession({ user, nodeId });
        sessions.set(`${user} ${nodeId}`, session);
        const outputs: string[] = [];
        try {
          await session.execute(text, { onResult: (result) => outputs.push(show(result, (id) => (job = id))) });
        } catch (error) {
          if (!isVarveError(error)) throw error;
          outputs.push(`error ${error.code}: ${error.message}`);
          if (error.detail !== undefined) outputs.push(`detail: ${error.detail}`);
          if (error.hint !== undefined) outputs.push(`hint: ${error.hint}`);
        }
        return outputs.join('\n');
      }
      case 'mark':
        marks.set(first, db.kv.hlc.now());
        return '';
      case 'advance':
        await clock.advance(first);
        return '';
      case 'settle':
        await clock.activity.settled();
        return '';
      case 'files': {
        const storage = db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
        if (storage.capabilities.list) return (await storage.list(first)).join('\n') || 'none';
        // A listing knows what was written through its own URI.
        const collection = db.storage.open(`mem://bucket/${first}`, { user: 'root', nodeId: 1 });
        return (await withListings(collection, new ListingLocks()).list('')).map((name) => `${first}/${name}`).join('\n') || 'none';
      }
      case 'move': {
        const storage = db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
        for (const name of await storage.list(first)) {
          if (second !== '') await storage.write(second + name.slice(first.length), await storage.read(name));
          await storage.delete(name);
        }
        return '';
      }
      case 'remove':
      case 'flip': {
        const storage = db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
        const all = await storage.list('');
        const [name = '', ...others] = all.includes(first) ? [first] : all.filter((one) => one.includes(first));
        if (name === '' || others.length > 0) throw new Error(`${others.length} other files have ${first} in their names`);
        const content = Buffer.from(await storage.read(name));
        content[content.length >> 1] = (content[content.length >> 1] as number) ^ 1;
        if (command.name === 'remove') await storage.delete(name);
        else await storage.write(name, content);
        return '';
      }
      case 'kms':
        if (first === 'allow') keys.refused.delete(second);
        else if (first === 'away') keys.refused.set(second, { message: 'it does not answer', isRetryable: true });
        else keys.refused.set(second, { message: 'the key is disabled', isRetryable: false });
        return '';
      case 'metric': {
        const found = (await db.metrics.read()).filter(({ name }) => name === first);
        if (found.length === 0) throw new Error(`no metric ${first}`);
        const seconds = (value: number) => (value > Date.parse(START) / 1000 ? `@${value - Date.parse(START) / 1000}s` : String(value));
        return found.map(({ value }) => seconds(value)).join('\n');
      }
      case 'node':
        if (first === 'stop') db.kv.cluster.stopNode(Number(second));
        else db.kv.cluster.startNode(Number(second));
        return '';
      default:
        throw new Error(`no command ${command.name}`);
    }
  };
  return { run: async (command) => maskText(await run(command), START), close: () => db.close() };
}

/** Rows as `name=value` of what is not NULL, or the tag. */
function show({ tag, columns, rows }: StatementResult, onJob: (id: number) => void): string {
  if (columns === undefined) return tag;
  const lines = rows.map((row) =>
    columns
      .flatMap(({ name, type }, i) => {
        const value = row[i] ?? null;
        if (name === 'job_id' && typeof value === 'number') onJob(value);
        return value === null ? [] : [`${name}=${formatDatum(type, value)}`];
      })
      .join(' '),
  );
  return lines.join('\n') || 'no rows';
}
