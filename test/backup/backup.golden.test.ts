/**
 * Golden scripts of backups, below SQL (harness.ts): database `bank` and what the script makes.
 *
 *   table NAME [offline]           (id INT PRIMARY KEY, v STRING, INDEX (v))
 *   put NAME 1=a 2=b               writes rows; del NAME 1 2 deletes them
 *   drop NAME; exclude NAME; include NAME; publish NAME
 *   truncate NAME                  the table gets another id; the one before is old/NAME
 *   collect NAME                   removes a dropped table, as GC does when its TTL has passed
 *   advance BY; ttl NAME SECONDS; time NAME     remembers the present time; $NAME in SQL is it
 *   hold NAME [at=TIME] / release  a user's protected timestamp on database bank
 *   sql [user=U] [explicit]        runs a statement (AS OF SYSTEM TIME '$NAME' or '-5s')
 *   pause-at [POINTS]              sets jobs.debug.pausepoints
 *   job [resume|cancel]            the last detached job, after what was asked and the clock's idling
 *   jobs; protections; files [PREFIX]
 *   read NAME [time=TIME]          the rows that the newest chain brings back
 *   write-file NAME                a file of this content; delete-file NAME; flip NAME
 *
 * Times print as seconds since the script's start (@12s), job ids as <job>, uuids as <uuid>.
 */
import type { VarveError } from '../../src/base/errors.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { JobError } from '../../src/jobs/job.ts';
import { Json, jsonToPlain } from '../../src/catalog/json.ts';
import { createUser } from '../../src/catalog/users.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';
import { goldenSuite } from '../support/golden.ts';
import { Harness, START } from './harness.ts';
import { maskText } from './maskText.ts';

goldenSuite('backup', async () => {
  const harness = await Harness.open({ nodes: 2 });
  await harness.createDatabase('bank');
  await harness.kv.run((txn) => createUser(txn, 'joe'));
  return new BackupScript(harness);
});

class BackupScript implements GoldenHandler {
  readonly #harness: Harness;
  readonly #times = new Map<string, Timestamp>();
  #lastJob = 0;
  #holdId = '';

  constructor(harness: Harness) {
    this.#harness = harness;
  }

  close(): void {
    this.#harness.close();
  }

  async run(command: GoldenCommand): Promise<string> {
    try {
      const output = await this.#run(command);
      await this.#harness.clock.activity.settled();
      return mask(output);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      return mask(describe(error));
    }
  }

  async #run(command: GoldenCommand): Promise<string> {
    const harness = this.#harness;
    const [first = '', second = '', ...others] = [...command.args.keys()];
    switch (command.name) {
      case 'table':
        await harness.createTable(first, command.has('offline') ? { state: 'OFFLINE' } : {});
        return '';
      case 'database':
        await harness.createDatabase(first);
        return '';
      case 'put':
        await harness.put(first, new Map([second, ...others].map((id) => [Number(id), command.arg(id) ?? ''])));
        return '';
      case 'del':
        await harness.put(first, new Map([second, ...others].map((id) => [Number(id), null])));
        return '';
      case 'drop':
        await harness.dropTable(first);
        return '';
      case 'truncate':
        await harness.truncateTable(first);
        return '';
      case 'collect':
        await harness.collectTable(first);
        return '';
      case 'exclude':
      case 'include':
        await harness.alterTable(first, { excludeDataFromBackup: command.name === 'exclude' });
        return '';
      case 'publish':
        await harness.alterTable(first, { state: 'PUBLIC', offlineReason: undefined });
        return '';
      case 'advance':
        await harness.clock.advance(first);
        return '';
      case 'ttl':
        await harness.setTtl(first, Number(second));
        return '';
      case 'time':
        this.#times.set(first, harness.kv.hlc.now());
        return `${first} is ${mask(`${this.#times.get(first)}000.0000000000`)}`;
      case 'hold':
        return await this.#hold(command.arg('at'));
      case 'release':
        await harness.kv.run((txn) => harness.services.protections.release(txn, this.#holdId));
        return '';
      case 'sql':
        return await this.#sql(command);
      case 'pause-at':
        harness.pausepoints = [first, second, ...others].join(',');
        return '';
      case 'job':
        if (first === 'resume') await harness.jobs.resume(this.#lastJob);
        if (first === 'cancel') await harness.jobs.cancel(this.#lastJob);
        await harness.clock.activity.settled();
        return await this.#showJob(this.#lastJob);
      case 'jobs':
        return (await Promise.all((await harness.jobs.list()).map(({ id }) => this.#showJob(id)))).join('\n');
      case 'protections':
        return this.#protections();
      case 'files':
        return (await harness.fileNames()).filter((name) => name.startsWith(first)).join('\n') || 'none';
      case 'read': {
        const back = await harness.readBack(first, this.#time(command.arg('time')));
        return `${mask(`${back.time}000.0000000000`)}: ${await harness.showRows(first, back.data)}`;
      }
      case 'write-file':
        await harness.collection.write(first, Buffer.from(command.input));
        return '';
      case 'delete-file':
        await harness.collection.delete(await this.#oneFile(first));
        return '';
      case 'flip': {
        const name = await this.#oneFile(first);
        const content = Buffer.from(await harness.collection.read(name));
        content[content.length >> 1]! ^= 1;
        await harness.collection.write(name, content);
        return '';
      }
      default:
        throw new Error(`no command ${command.name}`);
    }
  }

  /** The one file whose name has this part. */
  async #oneFile(part: string): Promise<string> {
    const found = (await this.#harness.fileNames()).filter((name) => name.includes(part));
    if (found.length !== 1) throw new Error(`${found.length} files match ${part}`);
    return found[0] as string;
  }

  #time(name: string | undefined): Timestamp | undefined {
    return name === undefined ? undefined : this.#times.get(name);
  }

  async #hold(at: string | undefined): Promise<string> {
    const { kv, services } = this.#harness;
    const ts = this.#time(at) ?? kv.reading();
    this.#holdId = kv.ids.uuid();
    await kv.run(async (txn) => {
      const { id } = (await services.catalog.snapshot(txn)).requireDatabase('bank');
      await services.protections.protect(txn, {
        id: this.#holdId,
        ts,
        metaType: 'user',
        meta: 'script',
        target: { kind: 'objects', ids: [id] },
      });
    });
    return '';
  }

  async #sql(command: GoldenCommand): Promise<string> {
    const sql = command.input.replace(/\$(\w+)/g, (whole, name) => String(this.#times.get(name) ?? whole));
    const { rows } = await this.#harness.run(sql, { user: command.arg('user') ?? 'root', explicit: command.has('explicit') });
    const jobId = rows[0]?.['job_id'];
    if (typeof jobId === 'number') this.#lastJob = jobId;
    return rows.map(showRow).join('\n') || 'no rows';
  }

  async #showJob(id: number): Promise<string> {
    const record = await this.#harness.jobs.get(id);
    if (record === undefined) return 'no such job';
    const error = record.error ?? record.pauseError;
    return [`${record.status} ${record.fractionCompleted.toFixed(2)}: ${record.description}`, ...(error ? [describe(error)] : [])].join(
      '\n',
    );
  }

  #protections(): string {
    const nameOf = (id: number) =>
      ['bank.t', 'bank.u', 'bank.w'].find((name) => safe(() => this.#harness.tableId(name)) === id) ?? 'database bank';
    const records = this.#harness.kv.gc.protections.list();
    const targets = (target: (typeof records)[number]['target']) =>
      target.kind === 'cluster' ? 'cluster' : target.ids.map(nameOf).join(', ');
    return records.map(({ ts, metaType, target }) => `${ts}000.0000000000 ${metaType}: ${targets(target)}`).join('\n') || 'none';
  }
}

function safe<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}

/** `name=value` of what is not NULL. */
function showRow(row: Record<string, unknown>): string {
  return Object.entries(row)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${/_time$/.test(name) ? `${value}000.0000000000` : showValue(value)}`)
    .join(' ');
}

function showValue(value: unknown): string {
  return value instanceof Json ? JSON.stringify(jsonToPlain(value.value), null, 1) : String(value);
}

function describe({ code, message, detail, hint }: VarveError | JobError): string {
  const lines = [`error ${code}: ${message}`];
  if (detail !== undefined) lines.push(`detail: ${detail}`);
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  return lines.join('\n');
}

function mask(text: string): string {
  return maskText(text, START);
}
