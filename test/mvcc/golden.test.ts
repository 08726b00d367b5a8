/**
 * Runs the scripts of test/golden/mvcc: what a store does, one idea a script.
 *
 * `run` takes one store command a line; the store is `main` unless `store=NAME` says otherwise.
 *   put k=KEY v=VALUE ts=N          a commit of one key; several puts and dels with one ts share it
 *   del k=KEY ts=N                  writes a tombstone
 *   get k=KEY ts=N                  prints the newest version at or below N
 *   scan from=KEY to=KEY ts=N       also: reverse, tombstones, limit=N, max-bytes=N; bounds may be left out
 *   changed from=KEY to=KEY after=N    some change in the span since, or <none>
 *   export start=N end=N            also: from, to, all, max-bytes=N (each piece is shown), via=log|tree
 *   ingest at=N KEY@N=VALUE...      versions with times of their own; KEY@N=<tombstone>
 *   clear from=KEY to=KEY at=N
 *   gc threshold=N                  also: from, to, budget=N (each call is shown)
 *   fork as=NAME                    a copy under a name of its own
 *   stats, log                      counts; what the change log remembers
 * `dump` prints every version, in key order, newest first. After each command the invariants of
 * every store are checked, and what is broken is printed. A refused call prints `error CODE: text`.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Span } from '../../src/base/span.ts';
import { MAX_KEY } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { MAX_TIMESTAMP, MIN_TIMESTAMP } from '../../src/base/timestamp.ts';
import { garbageBytes } from '../../src/mvcc/stats.ts';
import { Store } from '../../src/mvcc/store.ts';
import { VersionBatch } from '../../src/mvcc/versionBatch.ts';
import { goldenSuite } from '../support/golden.ts';

const TOMBSTONE = '<tombstone>';

/** One line: a verb, `key=value` arguments, flags, and other words. */
class Line {
  readonly verb: string;
  readonly words: string[];
  readonly #args = new Map<string, string>();

  constructor(text: string) {
    const [verb = '', ...rest] = text.trim().split(/\s+/);
    this.verb = verb;
    this.words = rest.filter((word) => !/^[a-z-]+=/.test(word));
    for (const word of rest) {
      const match = /^([a-z-]+)=(.*)$/.exec(word);
      if (match) this.#args.set(match[1] ?? '', match[2] ?? '');
    }
  }

  text(name: string): string {
    const value = this.#args.get(name);
    if (value === undefined) throw new Error(`${this.verb} needs ${name}=`);
    return value;
  }

  optional(name: string): string | undefined {
    return this.#args.get(name);
  }

  number(name: string, fallback?: number): number {
    const value = fallback === undefined ? this.text(name) : this.#args.get(name);
    const number = value === undefined ? fallback : Number(value);
    if (number === undefined || Number.isNaN(number)) throw new Error(`${name}=${value} is no number`);
    return number;
  }

  ts(name: string): Timestamp {
    return this.number(name) as Timestamp;
  }

  span(): Span {
    return { key: (this.optional('from') ?? '') as Bytes, endKey: (this.optional('to') ?? MAX_KEY) as Bytes };
  }

  has(flag: string): boolean {
    return this.words.includes(flag);
  }
}

function show(value: Bytes | null): string {
  return value === null ? TOMBSTONE : value;
}

function showBatch(batch: VersionBatch): string[] {
  return batch.keys.map((key, i) => `${key}@${batch.timestamps[i]} -> ${show(batch.values[i] as Bytes | null)}`);
}

class Stores {
  readonly #stores = new Map<string, Store>([['main', new Store({ key: '' as Bytes, endKey: MAX_KEY })]]);

  run(name: string, input: string): string {
    const command = name === 'dump' ? ['dump'] : input.split('\n');
    if (name !== 'dump' && name !== 'run') throw new Error(`unknown command ${name}`);
    const output: string[] = [];
    for (let i = 0; i < command.length; i++) {
      const line = new Line(command[i] ?? '');
      if (line.verb === 'put' || line.verb === 'del') {
        const writes = [line];
        for (let next = new Line(command[i + 1] ?? ''); sharesCommit(line, next); next = new Line(command[i + 1] ?? '')) {
          writes.push(next);
          i++;
        }
        this.#commit(writes);
      } else {
        output.push(...this.#one(line));
      }
    }
    return output.join('\n');
  }

  dump(storeName: string | undefined): string {
    const all = new VersionBatch();
    this.#store(storeName).exportSpan(
      { key: '' as Bytes, endKey: MAX_KEY },
      MIN_TIMESTAMP,
      MAX_TIMESTAMP,
      { allVersions: true, maxBytes: Number.POSITIVE_INFINITY },
      all,
    );
    return all.length === 0 ? '<empty>' : showBatch(all).join('\n');
  }

  broken(): string[] {
    return [...this.#stores].flatMap(([name, store]) => store.check().map((what) => `BROKEN ${name}: ${what}`));
  }

  #store(name: string | undefined): Store {
    const store = this.#stores.get(name ?? 'main');
    if (store === undefined) throw new Error(`no store ${name}`);
    return store;
  }

  #commit(writes: Line[]): void {
    const first = writes[0] as Line;
    this.#store(first.optional('store')).apply(first.ts('ts'), {
      keys: writes.map((write) => write.text('k') as Bytes),
      values: writes.map((write) => (write.verb === 'put' ? (write.text('v') as Bytes) : null)),
    });
  }

  #one(line: Line): string[] {
    const store = this.#store(line.optional('store'));
    switch (line.verb) {
      case 'get': {
        const version = store.get(line.text('k') as Bytes, line.ts('ts'));
        const answer = version === undefined ? '<none>' : `${show(version.value)} (@${version.ts})`;
        return [`get ${line.text('k')}@${line.text('ts')} -> ${answer}`];
      }
      case 'scan': {
        const batch = new VersionBatch();
        const resume = store.scan(
          line.span(),
          line.ts('ts'),
          {
            limit: line.number('limit', Number.POSITIVE_INFINITY),
            maxBytes: line.number('max-bytes', Number.POSITIVE_INFINITY),
            reverse: line.has('reverse'),
            tombstones: line.has('tombstones'),
          },
          batch,
        );
        return [
          `scan @${line.text('ts')}`,
          ...showBatch(batch).map(indent),
          ...(resume === undefined ? [] : [`  rest ${showResume(line, resume)}`]),
        ];
      }
      case 'changed': {
        const change = store.changedSince(line.span(), line.ts('after'));
        return [`changed after @${line.text('after')} -> ${change === undefined ? '<none>' : `${change.key}@${change.ts}`}`];
      }
      case 'export':
        return this.#export(store, line);
      case 'ingest': {
        const run = new VersionBatch();
        for (const word of line.words) {
          const [, key = '', ts = '', value = ''] = /^(.+)@(\d+)=(.*)$/.exec(word) ?? [];
          run.push(key as Bytes, Number(ts) as Timestamp, value === TOMBSTONE ? null : (value as Bytes));
        }
        store.ingest(run, line.ts('at'));
        return [];
      }
      case 'clear':
        store.clearSpan(line.span(), line.ts('at'));
        return [];
      case 'gc': {
        const output: string[] = [];
        for (let done = false; !done; ) {
          const result = store.collect(line.span(), line.ts('threshold'), { maxVersions: line.number('budget', 1000) });
          done = result.done;
          output.push(
            `gc @${line.text('threshold')}: ${result.removedVersions} versions, ${result.removedBytes} bytes${done ? '' : ', more to do'}`,
          );
        }
        return output;
      }
      case 'fork':
        this.#stores.set(line.text('as'), store.fork());
        return [];
      case 'stats': {
        const stats = store.stats();
        return [
          `keys: ${stats.liveKeys} live of ${stats.totalKeys}; versions: ${stats.versions}, ${stats.tombstones} of them tombstones`,
          `bytes: ${stats.liveBytes} live of ${stats.totalBytes}, ${garbageBytes(stats)} garbage`,
        ];
      }
      case 'log':
        return [`log: ${store.logLength} entries, floor @${store.logFloor}, last @${store.lastTimestamp}`];
      default:
        throw new Error(`unknown verb ${line.verb}`);
    }
  }

  #export(store: Store, line: Line): string[] {
    const via = line.optional('via') as 'log' | 'tree' | undefined;
    const options = { allVersions: line.has('all'), via, maxBytes: line.number('max-bytes', Number.POSITIVE_INFINITY) };
    const output: string[] = [];
    let resume = undefined as ReturnType<Store['exportSpan']>;
    do {
      const piece = new VersionBatch();
      resume = store.exportSpan(line.span(), line.ts('start'), line.ts('end'), { ...options, resume }, piece);
      output.push(`export (${line.text('start')}, ${line.text('end')}]`, ...showBatch(piece).map(indent));
      if (resume !== undefined) {
        const before = resume.before === undefined ? '' : ` below @${resume.before}`;
        output.push(`  resume at ${JSON.stringify(resume.key)}${before}`);
      }
    } while (resume !== undefined);
    return output;
  }
}

function sharesCommit(first: Line, next: Line): boolean {
  const isWrite = next.verb === 'put' || next.verb === 'del';
  return isWrite && next.optional('ts') === first.optional('ts') && next.optional('store') === first.optional('store');
}

function showResume(line: Line, resume: Bytes): string {
  const span = line.span();
  const [key, endKey] = line.has('reverse') ? [span.key, resume] : [resume, span.endKey];
  return `[${JSON.stringify(key)}, ${endKey === MAX_KEY ? 'end' : JSON.stringify(endKey)})`;
}

function indent(text: string): string {
  return `  ${text}`;
}

goldenSuite('mvcc', () => {
  const stores = new Stores();
  return {
    run(command) {
      let output: string;
      try {
        output = command.name === 'dump' ? stores.dump(command.arg('store')) : stores.run(command.name, command.input);
      } catch (error) {
        if (!isVarveError(error)) throw error;
        output = `error ${error.code}: ${error.message}`;
      }
      return [output, ...stores.broken()].filter((text) => text !== '').join('\n');
    },
  };
});
