/**
 * Golden scripts of restores, in SQL on a whole database with one node.
 *
 *   sql [user=U]          statements, one a line or more; prints the last one's rows and all notices, or the error
 *   time NAME             remembers the present time; $NAME in statements is it, '$NAME' in quotes
 *   advance BY            moves the clock
 *   traces before|after   remembers what there is in catalog, stores and protections; prints what has changed since
 *   files [PREFIX]        names in the collection mem://bucket/c
 *   delete-file REGEXP; flip REGEXP [at=OFFSET]     harms the first file of a matching name
 *   check                 broken rules of catalog and stores
 *   cluster NAME [nodes=N]  goes on with another cluster that reads the same collections, empty the first time; the first one is a
 *
 * Job ids print as <job>, times as seconds since the script's start (@12s).
 */
import { isVarveError } from '../../src/base/errors.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { MemoryFiles } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';
import { goldenSuite } from '../support/golden.ts';

import { COLLECTION, START, TestDatabase } from './database.ts';

goldenSuite('restore', async () => {
  const files = new MemoryFiles();
  return new RestoreScript(await TestDatabase.open({ files }), files);
});

const START_MICROS = Date.parse(START) * 1000;

class RestoreScript implements GoldenHandler {
  #test: TestDatabase;
  readonly #files: MemoryFiles;
  readonly #clusters: Map<string, TestDatabase>;
  readonly #times = new Map<string, number>();
  /** By cluster and user. */
  readonly #sessions = new Map<TestDatabase, Map<string, Session>>();
  #traces: string[] = [];

  constructor(database: TestDatabase, files: MemoryFiles) {
    this.#test = database;
    this.#files = files;
    this.#clusters = new Map([['a', database]]);
  }

  async close(): Promise<void> {
    for (const cluster of this.#clusters.values()) await cluster.close();
  }

  async #goTo(name: string, nodes: number): Promise<void> {
    const elapsed = this.#test.clock.nowMicros();
    const next = this.#clusters.get(name) ?? (await TestDatabase.open({ files: this.#files, seed: name, nodes }));
    this.#clusters.set(name, next);
    if (next.clock.nowMicros() < elapsed) await next.clock.advance(elapsed - next.clock.nowMicros());
    this.#test = next;
  }

  async run(command: GoldenCommand): Promise<string> {
    const test = this.#test;
    const [first = ''] = [...command.args.keys()];
    switch (command.name) {
      case 'sql':
        return await this.#sql(command.input, command.arg('user') ?? 'root');
      case 'time':
        // Nothing else happens in the microseconds before and after.
        await test.clock.advance(1000);
        this.#times.set(first, test.db.kv.hlc.now());
        await test.clock.advance(1000);
        return '';
      case 'advance':
        await test.clock.advance(first);
        return '';
      case 'traces': {
        const now = await test.traces();
        const before = this.#traces;
        this.#traces = now;
        if (first === 'before') return '';
        const changes = [
          ...now.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
          ...before.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
        ];
        return changes.length === 0 ? 'nothing has changed' : changes.join('\n');
      }
      case 'files':
        return mask((await this.#storage().list(first)).join('\n'));
      case 'delete-file':
        await this.#storage().delete(await this.#fileOf(first));
        return '';
      case 'flip': {
        const name = await this.#fileOf(first);
        const bytes = await this.#storage().read(name);
        const at = Number(command.arg('at') ?? Math.floor(bytes.length / 2));
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        await this.#storage().write(name, bytes);
        return '';
      }
      case 'cluster':
        await this.#goTo(first, Number(command.arg('nodes') ?? 1));
        return '';
      case 'check': {
        const problems = await test.problems();
        return problems.length === 0 ? 'all is well' : problems.join('\n');
      }
      default:
        throw new Error(`${command.where}: unknown command ${command.name}`);
    }
  }

  #storage() {
    return this.#test.db.storage.open(ParsedUri.parse(COLLECTION), { user: 'root', nodeId: 1 });
  }

  async #fileOf(pattern: string): Promise<string> {
    const found = (await this.#storage().list('')).find((name) => new RegExp(pattern).test(name));
    if (found === undefined) throw new Error(`no file matches ${pattern}`);
    return found;
  }

  async #sql(text: string, user: string): Promise<string> {
    const sql = text.replace(/'\$(\w+)(-1us)?'/g, (_, name: string, before?: string) => {
      return `'${(this.#times.get(name) ?? 0) - (before ? 1 : 0)}000'`;
    });
    const sessions = this.#sessions.get(this.#test) ?? new Map<string, Session>();
    this.#sessions.set(this.#test, sessions);
    const session = sessions.get(user) ?? this.#test.db.newSession({ user });
    sessions.set(user, session);
    try {
      const notices: string[] = [];
      const rows = await this.#test.rows(sql, session, (message) => notices.push(`notice: ${message}`));
      await this.#test.clock.activity.settled();
      const lines = rows.length === 0 ? ['ok'] : rows.map((row) => row.map((cell) => cell ?? 'NULL').join(' '));
      return mask([...lines, ...notices].join('\n'));
    } catch (error) {
      if (!isVarveError(error) || error.code === 'XX000') throw error;
      const parts = [`error ${error.code}: ${error.message}`];
      if (error.detail !== undefined) parts.push(`detail: ${error.detail}`);
      if (error.hint !== undefined) parts.push(`hint: ${error.hint}`);
      return mask(parts.join('\n'));
    }
  }
}

/** Ids of jobs and moments, as a reader can follow them. */
function mask(text: string): string {
  const seconds = (micros: number) => `@${Math.floor((micros - START_MICROS) / 1e6)}s`;
  return text
    .replace(/\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d+)?\+00(?::00)?/g, (utc) =>
      seconds(Date.parse(utc.replace(' ', 'T').replace(/\+00$/, '+00:00')) * 1000),
    )
    .replace(/\b1[78]\d{8}\.\d{9},0/g, (decimal) => seconds(Number(decimal.slice(0, 10)) * 1e6))
    .replace(/\b(expected|found) [0-9a-f]{8,}/g, '$1 <checksum>')
    .replace(/LATEST-[0-9a-f]{16}/g, 'LATEST-<descending>')
    .replace(/\b1[78]\d{17}(?:\.\d+)?\b/g, (nanos) => seconds(timestamp(Math.floor(Number(nanos.split('.')[0]) / 1000))))
    .replace(/\b1[78]\d{14}\b/g, '<job>')
    .replace(/\b2026\/11\/20-(\d{6})\.\d\d\b/g, '<$1>')
    .replace(/\b20261120\/(\d{6})\.\d\d\b/g, '<$1>');
}
