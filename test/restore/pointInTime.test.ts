/**
 * Restores to random moments inside random chains, compared with a model that never forgets.
 *
 * Each seed is one database under random statements (rows, transactions, tables and indexes and
 * columns that come and go, renames, truncates, a sequence, data excluded for a while), the clock moving between them, GC
 * running, and backups of random kinds taken: fulls and incrementals, with and without revision
 * history, as of now and as of earlier. A chain that GC has overtaken ends and a new full begins;
 * others are held by protected timestamps and go on. Some chains are compacted, wholly or in part, and in the end some
 * backups expire: of what is kept every moment can be restored as before, of the others nothing is left.
 * Then random restorable moments are restored under a new name, and must hold exactly the tables,
 * columns, rows, indexes and the sequence's value of the model at that moment; moments between
 * layers without history must be refused. The backup queried in place must show the same, and VERIFY
 * BACKUP find nothing wrong.
 *
 * SEED=n runs one seed, SEEDS=n so many of them (CI: 200).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { indexPrefix } from '../../src/base/keycode.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { prefixSpan } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { type Chain, chooseLayers, loadChain, restorableIntervals } from '../../src/backup/chain.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { isCompacted } from '../../src/backup/compactedLayer.ts';
import { allIndexes } from '../../src/catalog/descriptor.ts';

import { COLLECTION, TestDatabase } from './database.ts';
import { History, type ModelState } from './history.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 60);
const RESTORES_PER_SEED = 2;

const test = suite('restore to a point in time');
const totals = { restores: 0, insideLayers: 0, refused: 0, verified: 0, compactions: 0, byCompacted: 0, expired: 0 };

class Run {
  readonly random: Random;
  readonly test: TestDatabase;
  readonly history: History;
  /** Directories of the fulls. */
  readonly chains: string[] = [];
  /** Of what is done to backups afterwards: it leaves the history of a seed as it was. */
  readonly #upkeep: Random;
  #restoreCount = 0;

  private constructor(seed: number, database: TestDatabase) {
    this.#upkeep = seededRandom(`upkeep ${seed}`);
    this.random = seededRandom(`point in time ${seed}`);
    this.test = database;
    this.history = new History(database, this.random);
  }

  static async start(seed: number): Promise<Run> {
    const database = await TestDatabase.open({ seed: `point in time ${seed}`, nodes: 1 + (seed % 3) });
    return new Run(seed, database);
  }

  async run(): Promise<void> {
    const { random } = this;
    const kind = random.int(3);
    await this.history.begin(kind === 0 ? 14_400 : 900);
    // Tables of some databases are held, so that their chains outlive GC; tables that come later are not.
    const isHeld = kind === 2;
    const layers = random.int(6) === 0 ? 5 : 2 + random.int(2);
    for (let layer = 0; layer < layers; layer++) {
      const changes = 2 + random.int(10);
      for (let i = 0; i < changes; i++) {
        await this.history.change();
        await this.test.clock.advance(`${random.int(isHeld ? 900 : 60)}s`);
        if (random.int(isHeld ? 2 : 8) === 0) await this.test.db.kv.gc.runGc();
      }
      await this.#backup();
      await this.#compact();
      if (isHeld) await this.#hold();
    }
    await this.#expire();
    for (let i = 0; i < RESTORES_PER_SEED; i++) await this.#restoreAndCompare((chain) => this.#pickTime(chain));
    await this.#restoreAndCompare(() => (this.history.from + random.int(this.test.db.kv.reading() - this.history.from)) as Timestamp);
    await this.#verify(this.chains[random.int(this.chains.length)] as string);
    assert.equal(await this.test.problems(), []);
  }

  /** Every state that the chain recorded comes out of it again. */
  async #verify(directory: string): Promise<void> {
    const { test } = this;
    const rows = await test.rows(`SELECT status, table_name FROM [VERIFY BACKUP FROM '${directory}' IN '${COLLECTION}']`);
    totals.verified += rows.length;
    assert.equal(
      rows.filter(([status]) => status !== 'ok'),
      [],
      `VERIFY BACKUP of ${directory}`,
    );
  }

  async #backup(): Promise<void> {
    const { random, test } = this;
    const history = random.int(4) > 0 ? ' WITH revision_history' : '';
    const asOf = random.int(3) === 0 ? ` AS OF SYSTEM TIME '-${1 + random.int(30)}s'` : '';
    const isFull = this.chains.length === 0 || random.int(5) === 0;
    try {
      await test.rows(`BACKUP DATABASE d INTO ${isFull ? '' : 'LATEST IN '}'${COLLECTION}'${asOf}${history}`);
    } catch (error) {
      // GC has overtaken the chain, or the time asked for lies before the chain's end or the database's birth.
      if (!isVarveError(error) || !['72000', '22023', '3D000', '58P02'].includes(error.code)) throw error;
      await test.clock.advance('1s');
      await test.rows(`BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`);
    }
    const newest = (await test.rows(`SHOW BACKUPS IN '${COLLECTION}'`))
      .map((row) => row[0] as string)
      .sort()
      .at(-1) as string;
    if (!this.chains.includes(newest)) this.chains.push(newest);
  }

  /** Merges incrementals of the newest chain: all, or those up to a layer's end, or from one on. */
  async #compact(): Promise<void> {
    const random = this.#upkeep;
    const chain = await this.#chain(this.chains.at(-1) as string);
    if (chain.length < 3 || random.int(3) === 0) return;
    const bound = chain[1 + random.int(chain.length - 1)]?.manifest.endTime;
    const range = ['', ` TO '${bound}000'`, ` FROM '${bound}000'`][random.int(3)];
    const error = await this.test.error(`COMPACT BACKUP LATEST IN '${COLLECTION}'${range}`);
    assert.match(error, /^(no error|22023 there is nothing to compact|58P02 the layers of backup .* are compacted already)/);
    if (error === 'no error') totals.compactions++;
  }

  /** What a rule keeps is there afterwards, layer for layer; of the rest there is no file. */
  async #expire(): Promise<void> {
    const random = this.#upkeep;
    if (random.int(2) === 0) return;
    const { test } = this;
    const now = test.db.kv.reading();
    const seconds = 1 + random.int(3000);
    const fulls = 1 + random.int(3);
    const before = new Map<string, Chain>();
    for (const path of this.chains) before.set(path, await this.#chain(path));
    const [byAge, byCount] = [random.int(3) > 0, random.int(3) === 0];
    const rules = [...(byAge ? [`KEEP '${seconds}s'`] : []), ...(byCount || !byAge ? [`KEEP ${fulls} FULLS`] : [])];
    await test.rows(`EXPIRE BACKUPS IN '${COLLECTION}' ${rules.join(', ')}`);
    const left = (await test.rows(`SHOW BACKUPS IN '${COLLECTION}'`)).map((row) => row[0] as string);
    const files = await test.db.storage.open('mem://bucket', { user: 'root', nodeId: 1 }).list('');
    for (const [i, [path, chain]] of [...before].reverse().entries()) {
      const end = Math.max(...chain.map(({ manifest }) => manifest.endTime));
      const isKept = i === 0 || (byAge && end >= now - seconds * 1e6) || ((byCount || !byAge) && i < fulls);
      assert.is(left.includes(path), isKept, `${path} after ${rules.join(', ')}`);
      if (isKept) assert.equal(await this.#chain(path), chain);
      else assert.not(files.some((name) => name.includes(path)));
      if (!isKept) totals.expired++;
    }
    this.chains.splice(0, this.chains.length, ...this.chains.filter((path) => left.includes(path)));
  }

  async #chain(path: string): Promise<Chain> {
    const storage = collectionAt(this.test.db.storage.open(COLLECTION, { user: 'root', nodeId: 1 }));
    return await loadChain(storage, path.replace(/^\//, ''));
  }

  /** Protects every table that there is from the end of the newest backup on. */
  async #hold(): Promise<void> {
    const { test } = this;
    const [end] = await test.rows(`SELECT max(end_time) FROM [SHOW BACKUP FROM LATEST IN '${COLLECTION}']`);
    for (const [name] of await test.rows('SELECT table_name FROM [SHOW TABLES FROM d]')) {
      await test.rows(`SELECT varve_internal.protect_timestamp('d.public.${name}', '${end?.[0]}')`);
    }
  }

  async #restoreAndCompare(pick: (chain: Chain) => Timestamp): Promise<void> {
    const { random, test, history } = this;
    const directory = this.chains[random.int(this.chains.length)] as string;
    const chain = await this.#chain(directory);
    const time = pick(chain);
    const expected = history.at(time);
    const isHeld = restorableIntervals(chain).some(({ from, to }) => from <= time && time <= to);
    const name = `r${++this.#restoreCount}`;
    const sql = `RESTORE DATABASE d FROM '${directory}' IN '${COLLECTION}' AS OF SYSTEM TIME '${time}000' WITH new_db_name = '${name}'`;
    if (!isHeld) {
      totals.refused++;
      assert.match(await test.error(sql), /^22023 (supplied backups do not cover requested time|incompatible RESTORE timestamp)/);
      return;
    }
    if (expected === undefined) return;
    totals.restores++;
    if (chooseLayers(chain, time).layers.some(isCompacted)) totals.byCompacted++;
    if (!chain.some(({ manifest }) => manifest.endTime === time)) totals.insideLayers++;
    await test.rows(sql);
    assert.equal(await this.#stateOf(name), plain(expected), `restored to ${time} from ${directory}`);
    await this.#checkIndexes(name);
    if (totals.restores % 4 === 0) await this.#compareAttached(directory, time, expected, name);
    // What was restored is a database like any other.
    await test.rows(`DROP DATABASE ${name} CASCADE`);
  }

  /** The backup in place shows what was restored: attached at that time, and read as of that time. */
  async #compareAttached(directory: string, time: Timestamp, expected: ModelState, restored: string): Promise<void> {
    const { test } = this;
    const source = `'${directory}' IN '${COLLECTION}'`;
    await test.run(`ATTACH BACKUP FROM ${source} AS OF SYSTEM TIME '${time}000' AS at_then`, `ATTACH BACKUP FROM ${source} AS newest`);
    assert.equal(await this.#stateOf('at_then'), plain(expected), `attached to ${directory} at ${time}`);
    assert.equal(await this.#stateOf('newest', time), plain(expected), `attached to ${directory}, as of ${time}`);
    for (const table of expected.tables.keys()) {
      const [copy, there] = await Promise.all(
        [restored, 'at_then'].map((name) =>
          test.rows(`SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE ${name}.public.${table}`, test.db.newSession()),
        ),
      );
      assert.equal(there, copy, `fingerprints of ${table} at ${time}`);
    }
    await test.run('DETACH BACKUP at_then', 'DETACH BACKUP newest');
  }

  /** Some moment at or near what can be restored: a layer's end, a commit or just before one, or anything between. */
  #pickTime(chain: Chain): Timestamp {
    const { random, history } = this;
    const intervals = restorableIntervals(chain);
    const { from, to } = intervals[random.int(intervals.length)] as (typeof intervals)[number];
    const low = Math.max(from, history.from);
    const changes = history.changes.filter((time) => low <= time && time <= to);
    switch (random.int(4)) {
      case 0:
        return to;
      case 1:
        return (changes[random.int(Math.max(1, changes.length))] ?? to) as Timestamp;
      case 2:
        return Math.max(low, (changes[random.int(Math.max(1, changes.length))] ?? to) - 1) as Timestamp;
      default:
        return (Math.min(low, to) + random.int(Math.max(1, to - low + 1))) as Timestamp;
    }
  }

  /** Of a stored database, or an attached one, as of a time when one is given. */
  async #stateOf(name: string, at?: Timestamp): Promise<unknown> {
    const { catalog } = this.test.db.services;
    const current = await catalog.current();
    const snapshot =
      at === undefined ? catalog.withAttached(current) : current.overlaid((content) => catalog.attached.overlay(content, at));
    const asOf = at === undefined ? '' : ` AS OF SYSTEM TIME '${at}000'`;
    const tables: Record<string, unknown> = {};
    let sequence: number | undefined;
    for (const table of snapshot.tablesOf(snapshot.requireDatabase(name).id, { anyState: true })) {
      assert.is(table.state, 'PUBLIC');
      if (table.sequence) {
        const [state] = await this.test.rows(`SELECT last_value, is_called FROM ${name}.public.q${asOf}`);
        sequence = state?.[1] === 't' ? Number(state[0]) : undefined;
        continue;
      }
      tables[table.name] = {
        columns: table.columns.map((column) => column.name),
        rows: await this.test.rows(`SELECT * FROM ${name}.public.${table.name}${asOf} ORDER BY id`),
        indexes: table.indexes.map((index) => index.name).sort(),
      };
    }
    return { tables, sequence };
  }

  /** Every index holds an entry for every row, and reading through it gives the same rows. */
  async #checkIndexes(name: string): Promise<void> {
    const { kv, services } = this.test.db;
    const snapshot = await services.catalog.current();
    for (const table of snapshot.tablesOf(snapshot.requireDatabase(name).id)) {
      if (table.sequence) continue;
      const rows = (await this.test.rows(`SELECT * FROM ${name}.public.${table.name} ORDER BY id`)).length;
      for (const index of allIndexes(table).slice(1)) {
        const entries = await kv.at(kv.reading()).scan(prefixSpan(indexPrefix(table.id, index.id)));
        assert.is(entries.keys.length, rows, `${table.name}@${index.name}`);
      }
    }
  }
}

/** A state of the model as #stateOf gives it. */
function plain({ tables, sequence }: ModelState): unknown {
  const byName = [...tables].map(([name, { columns, rows, indexes, isExcluded }]) => {
    const sorted = isExcluded ? [] : [...rows].sort(([a], [b]) => a - b).map(([, row]) => [...row]);
    return [name, { columns: [...columns], rows: sorted, indexes: [...indexes].sort() }];
  });
  return { tables: Object.fromEntries(byName), sequence };
}

async function runSeed(seed: number): Promise<void> {
  const run = await Run.start(seed);
  try {
    await run.run();
  } catch (error) {
    if (error instanceof Error) error.message = `SEED=${seed}: ${error.message}`;
    throw error;
  } finally {
    await run.test.close();
  }
}

const only = process.env['SEED'];
const SEEDS_PER_TEST = 20;

if (only !== undefined) {
  test(`seed ${only}`, () => runSeed(Number(only)));
} else {
  for (let first = 0; first < SEEDS; first += SEEDS_PER_TEST) {
    test(`seeds from ${first}`, async () => {
      for (let seed = first; seed < Math.min(SEEDS, first + SEEDS_PER_TEST); seed++) await runSeed(seed);
    });
  }
  test('the seeds reached the interesting moments', () => {
    assert.ok(totals.compactions > SEEDS / 8 && totals.byCompacted > SEEDS / 20 && totals.expired > SEEDS / 40, JSON.stringify(totals));
    assert.ok(totals.restores > 1.5 * SEEDS, `only ${totals.restores} restores`);
    assert.ok(totals.insideLayers > SEEDS, `only ${totals.insideLayers} inside layers`);
    assert.ok(totals.refused > SEEDS / 10, `only ${totals.refused} refusals`);
  });
}

test.run();
