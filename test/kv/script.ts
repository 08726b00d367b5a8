/**
 * The language of the golden scripts of kv and gc. One command, `run`, with one action a line; the
 * output has a line for each action that has something to say. The clock is manual.
 *
 *   t1: begin [snapshot | read-committed | read-only]
 *   t1: put a=1 b=2        del a        get a b        scan [from=a] [to=z] [limit=n] [reverse]
 *   t1: lock a b [shared] [nowait | skip]        refresh        next-statement
 *   t1: savepoint s        rollback-to s        release s        commit        rollback
 *   put a=1   del a   get a [at=M]   scan [at=M]         in a transaction of its own, or at a mark
 *   mark M                 names the present time        advance 4h
 *   export [start=M] end=M [all]        ingest a=1 ...   clear 106
 *   ttl 600 [table=106]    exclude 106 [off]    catalog 3     zone configurations
 *   protect p ts=M [meta=jobs] [table=106]      release-protection p
 *   gc                     threshold [106]      unreadable at=M [106]      explain [106]
 *   split a   merge a   transfer r1 n2   ranges   start n1   stop n1   drain n1
 *   fork f                 later lines go to the fork; `parent` goes back
 *   dump                   every version          check     broken invariants
 *
 * Keys are those of support.ts. A lock that has to wait says so, and says when it has it.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { utf8Decode } from '../../src/base/bytes.ts';
import { formatDuration } from '../../src/base/duration.ts';
import { nextTurn } from '../../src/base/idle.ts';
import type { ManualClock } from '../../src/base/manualClock.ts';
import { prettySpan } from '../../src/base/prettyKey.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { MIN_TIMESTAMP, timestamp } from '../../src/base/timestamp.ts';
import type { SpanConfigs, TableConfig } from '../../src/gc/spanConfigs.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import type { Isolation, Kv, KvReader, Savepoint, Txn } from '../../src/kv/kv.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';
import { key, keyName, makeKv, rows, TABLE, tableSpan, value } from './support.ts';

/** Zone configurations that a script changes line by line. */
class ScriptConfigs implements SpanConfigs {
  version = 0;
  readonly #tables = new Map<number, TableConfig>();
  readonly #listeners = new Set<() => void>();

  configOf(tableId: number): TableConfig | undefined {
    return this.#tables.get(tableId);
  }

  tableIds(): readonly number[] {
    return [...this.#tables.keys()];
  }

  onBeforeChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(tableId: number, fields: Partial<TableConfig>): void {
    for (const listener of this.#listeners) listener();
    this.#tables.set(tableId, { ...DEFAULT_TABLE_CONFIG, ancestors: [100], ...this.#tables.get(tableId), ...fields });
    this.version++;
  }
}

interface Line {
  readonly txn: string | undefined;
  readonly verb: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

export class KvScript implements GoldenHandler {
  #kv: Kv;
  #clock: ManualClock;
  readonly #parent: Kv;
  readonly #configs = new ScriptConfigs();
  readonly #txns = new Map<string, Txn>();
  readonly #savepoints = new Map<string, Savepoint>();
  readonly #marks = new Map<string, Timestamp>();
  readonly #names = new Map<string, string>();
  readonly #start: number;
  #lines: string[] = [];

  constructor(nodeCount = 1) {
    const { kv, clock } = makeKv({ localities: new Array(nodeCount).fill('') });
    this.#kv = kv;
    this.#parent = kv;
    this.#clock = clock;
    this.#start = clock.nowMicros();
    kv.gc.useConfigs(this.#configs);
  }

  async run(command: GoldenCommand): Promise<string> {
    if (command.name !== 'run') throw new Error(`${command.where}: unknown command ${command.name}`);
    this.#lines = [];
    for (const text of command.input.split('\n')) {
      const line = parseLine(text);
      try {
        const said = line.txn === undefined ? await this.#do(line) : await this.#inTxn(line.txn, line);
        if (said !== undefined) this.#say(line, said);
      } catch (error) {
        this.#say(line, describe(error, this.#names));
      }
      // Whoever was woken by this line speaks before the next.
      await nextTurn();
    }
    return this.#lines.join('\n');
  }

  close(): void {
    this.#kv.close();
    this.#parent.close();
  }

  #say(line: Line, text: string): void {
    const prefix = line.txn === undefined ? '' : `${line.txn}: `;
    for (const part of text.split('\n')) this.#lines.push(`${prefix}${part}`);
  }

  /** Times as microseconds since the script began. */
  #time(ts: number): string {
    return ts === 0 ? '@0' : `@${ts - this.#start}`;
  }

  #mark(name: string | undefined): Timestamp {
    if (name === '0') return MIN_TIMESTAMP;
    const offset = /^(\w+)([+-]\d+)?$/.exec(name ?? '');
    const mark = this.#marks.get(offset?.[1] ?? '');
    if (mark === undefined) throw new Error(`no mark ${name}`);
    return timestamp(mark + Number(offset?.[2] ?? 0));
  }

  async #inTxn(name: string, line: Line): Promise<string | undefined> {
    const { verb, words } = line;
    if (verb === 'begin') {
      const isolation: Isolation = words.includes('snapshot')
        ? 'snapshot'
        : words.includes('read-committed')
          ? 'read committed'
          : 'serializable';
      const txn = this.#kv.begin({ name, isolation, readOnly: words.includes('read-only') });
      this.#txns.set(name, txn);
      this.#names.set(txn.id, name);
      return undefined;
    }
    const txn = this.#txns.get(name);
    if (txn === undefined) throw new Error(`no transaction ${name}`);
    switch (verb) {
      case 'put':
      case 'del':
        write(txn, line);
        return undefined;
      case 'get':
      case 'scan':
        return this.#read(txn, line);
      case 'refresh':
        return txn.refresh() ? 'refreshed' : 'not refreshed';
      case 'next-statement':
        txn.nextStatement();
        return undefined;
      case 'savepoint':
        this.#savepoints.set(`${name}/${words[0]}`, txn.savepoint());
        return undefined;
      case 'rollback-to':
        txn.rollbackTo(this.#savepoint(name, words[0]));
        return undefined;
      case 'release':
        txn.release(this.#savepoint(name, words[0]));
        return undefined;
      case 'rollback':
        txn.rollback();
        return undefined;
      case 'commit':
        await txn.commit();
        return 'committed';
      case 'lock':
        return this.#lock(txn, line);
      default:
        throw new Error(`unknown action ${verb}`);
    }
  }

  #savepoint(txn: string, name: string | undefined): Savepoint {
    const savepoint = this.#savepoints.get(`${txn}/${name}`);
    if (savepoint === undefined) throw new Error(`no savepoint ${name}`);
    return savepoint;
  }

  async #lock(txn: Txn, line: Line): Promise<string> {
    const { words } = line;
    const wait = words.includes('nowait') ? 'nowait' : words.includes('skip') ? 'skip' : 'block';
    const keys = words.filter((word) => !['shared', 'nowait', 'skip'].includes(word)).map(key);
    let isDone = false;
    const result = txn
      .lock(keys, { strength: words.includes('shared') ? 'shared' : 'exclusive', wait })
      .then(
        (locked) => `locked ${locked.map(keyName).join(' ') || 'nothing'}`,
        (error) => describe(error, this.#names),
      )
      .finally(() => {
        isDone = true;
      });
    await nextTurn();
    if (isDone) return result;
    void result.then((text) => this.#say(line, text));
    return 'waits';
  }

  async #read(reader: KvReader, line: Line): Promise<string> {
    const { verb, words, options } = line;
    if (verb === 'get') {
      const values = await reader.get(words.map(key));
      return words.map((word, i) => `${word}=${values[i] === undefined ? '<none>' : utf8Decode(values[i])}`).join(' ');
    }
    const from = options.get('from');
    const to = options.get('to');
    const limit = options.get('limit');
    const whole = tableSpan();
    const span = { key: from ? key(from) : whole.key, endKey: to ? key(to) : whole.endKey };
    const scanOptions = { limit: limit === undefined ? undefined : Number(limit), reverse: words.includes('reverse') };
    return (await rows(reader, scanOptions, span)) || '<empty>';
  }

  async #do(line: Line): Promise<string | undefined> {
    const { verb, words, options } = line;
    const tableId = Number(options.get('table') ?? (/^\d+$/.test(words[0] ?? '') ? words[0] : TABLE));
    switch (verb) {
      case 'put':
      case 'del': {
        const txn = this.#kv.begin();
        write(txn, line);
        await txn.commit();
        return undefined;
      }
      case 'get':
      case 'scan':
        return this.#read(options.has('at') ? this.#kv.at(this.#mark(options.get('at'))) : this.#kv.begin({ readOnly: true }), line);
      case 'mark':
        this.#marks.set(words[0] ?? '', this.#kv.hlc.now());
        return undefined;
      case 'advance':
        await this.#clock.advance(words[0] ?? '');
        return undefined;
      case 'ttl':
        this.#configs.set(Number(options.get('table') ?? TABLE), { ttlSeconds: Number(words[0]) });
        return undefined;
      case 'exclude':
        this.#configs.set(tableId, { excludeFromBackup: words[1] !== 'off' });
        return undefined;
      case 'catalog':
        this.#configs.set(tableId, { isCatalog: true });
        return undefined;
      case 'protect':
        return this.#protect(line);
      case 'release-protection':
        return this.#kv.gc.protections.remove(words[0] ?? '') ? undefined : 'no such record';
      case 'gc': {
        const { removedVersions } = await this.#kv.gc.runGc();
        return `removed ${removedVersions} versions`;
      }
      case 'gc-timer':
        this.#kv.gc.start();
        return undefined;
      case 'gc-state':
        return `${this.#kv.gc.actor.getSnapshot().value}`;
      case 'threshold':
        return this.#ago(this.#kv.gc.thresholds.of(tableId));
      case 'unreadable': {
        const at = this.#kv.gc.thresholds.unreadableAt(tableId, this.#mark(options.get('at')));
        return at === undefined
          ? 'never, while it is protected'
          : at <= this.#kv.reading()
            ? 'already'
            : `in ${formatDuration(at - this.#kv.reading())}`;
      }
      case 'explain': {
        const found = this.#kv.gc.explain(tableId);
        const held = found.protections.map((record) => `${record.id}${this.#time(record.ts)}`).join(' ');
        return `threshold ${this.#ago(found.threshold)}, by ${found.reason}; garbage ${found.garbageBytes} bytes; held by ${held || 'nobody'}`;
      }
      case 'export':
        return this.#export(line);
      case 'ingest': {
        const writes = pairs(words);
        await this.#kv.ingest({ keys: writes.map(([k]) => key(k)), values: writes.map(([, v]) => value(v)) });
        return undefined;
      }
      case 'clear':
        this.#kv.clearTable(tableId);
        return undefined;
      case 'fork':
        this.#kv = this.#parent.fork();
        this.#clock = this.#kv.clock as ManualClock;
        return undefined;
      case 'parent':
        this.#kv = this.#parent;
        this.#clock = this.#parent.clock as ManualClock;
        return undefined;
      case 'dump':
        return this.#dump();
      case 'check':
        return this.#kv.check().join('\n') || 'ok';
      default:
        return this.#rangeAction(line);
    }
  }

  async #rangeAction({ verb, words }: Line): Promise<string | undefined> {
    const { ranges, cluster } = this.#kv;
    const [first = '', second = ''] = words;
    switch (verb) {
      case 'split':
        return `r${ranges.split(key(first))}`;
      case 'merge':
        return ranges.merge(key(first)) ? undefined : 'nothing to merge with';
      case 'transfer':
        return ranges.transferLease(Number(first.slice(1)), Number(second.slice(1))) ? undefined : 'refused';
      case 'ranges':
        return ranges
          .overlapping(EVERYTHING)
          .map((range) => `r${range.rangeId} ${prettySpan(range.span)} n${range.leaseholder} epoch ${range.leaseEpoch}`)
          .join('\n');
      case 'listen':
        cluster.subscribe((event) => {
          const { type, ...fields } = event;
          this.#lines.push(
            `${type} ${Object.entries(fields)
              .map(([name, field]) => `${name}=${field}`)
              .join(' ')}`,
          );
        });
        return undefined;
      case 'start':
        return void cluster.startNode(Number(first.slice(1)));
      case 'stop':
        return void cluster.stopNode(Number(first.slice(1)));
      case 'drain':
        return void (await cluster.drainNode(Number(first.slice(1))));
      default:
        throw new Error(`unknown action ${verb}`);
    }
  }

  #protect({ words, options }: Line): undefined {
    const tableId = options.get('table');
    const record = {
      id: words[0] ?? '',
      ts: this.#mark(options.get('ts')),
      metaType: options.get('meta') ?? 'user',
      meta: '',
      target: tableId === undefined ? ({ kind: 'cluster' } as const) : ({ kind: 'objects', ids: [Number(tableId)] } as const),
    };
    this.#kv.gc.verifyProtection(record);
    this.#kv.gc.protections.put(record);
  }

  async #export({ words, options }: Line): Promise<string> {
    const start = options.has('start') ? this.#mark(options.get('start')) : MIN_TIMESTAMP;
    const end = this.#mark(options.get('end'));
    const piece = await this.#kv.exportSpan(EVERYTHING, start, end, { allVersions: words.includes('all'), maxBytes: 1e6 });
    return versions(piece.keys, piece.timestamps, piece.values, (ts) => this.#time(ts));
  }

  async #dump(): Promise<string> {
    const now = this.#kv.reading();
    const piece = await this.#kv.exportSpan(EVERYTHING, MIN_TIMESTAMP, now, { allVersions: true, maxBytes: 1e6, unchecked: true });
    return versions(piece.keys, piece.timestamps, piece.values, (ts) => this.#time(ts));
  }

  #ago(threshold: number): string {
    return `${formatDuration(this.#kv.reading() - threshold)} ago`;
  }
}

function versions(
  keys: readonly Bytes[],
  timestamps: readonly number[],
  values: readonly (Bytes | null)[],
  time: (ts: number) => string,
): string {
  const lines = keys.map(
    (k, i) => `${keyName(k)}${time(timestamps[i] as number)} -> ${values[i] == null ? '<tombstone>' : utf8Decode(values[i] as Bytes)}`,
  );
  return lines.join('\n') || '<empty>';
}

function parseLine(text: string): Line {
  const [, txn, rest = ''] = /^(?:(\w+):\s+)?(.*)$/.exec(text.trim()) ?? [];
  const [verb = '', ...all] = rest.split(/\s+/);
  const isWrite = verb === 'put' || verb === 'ingest';
  const options = new Map<string, string>();
  const words: string[] = [];
  for (const word of all) {
    const at = word.indexOf('=');
    if (at > 0 && !isWrite) options.set(word.slice(0, at), word.slice(at + 1));
    else words.push(word);
  }
  return { txn, verb, words, options };
}

function pairs(words: readonly string[]): [string, string][] {
  return words.map((word) => {
    const [k = '', v = ''] = word.split('=');
    return [k, v];
  });
}

function write(txn: Txn, { verb, words }: Line): void {
  if (verb === 'del') {
    txn.write(
      words.map(key),
      words.map(() => null),
    );
    return;
  }
  const writes = pairs(words);
  txn.write(
    writes.map(([k]) => key(k)),
    writes.map(([, v]) => value(v)),
  );
}

/** `error 40001: …` with detail and hint; transaction ids are replaced by their names. */
function describe(error: unknown, names: ReadonlyMap<string, string>): string {
  const { code, message, detail, hint } = error as { code?: string; message: string; detail?: string; hint?: string };
  if (code === undefined) throw error;
  let text = `error ${code}: ${message}`;
  if (detail !== undefined) text += `\n  detail: ${detail}`;
  if (hint !== undefined) text += `\n  hint: ${hint}`;
  for (const [id, name] of names) text = text.replaceAll(`${name} (${id})`, name).replaceAll(id, name);
  return text;
}
