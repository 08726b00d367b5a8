/**
 * The list of what is compatible, row by row: docs/compatibility/*.md, summed up in docs/compatibility.md.
 *
 * Every number of the scheme is there once; a row that stands, wholly or partly, names a test, and the
 * words that it quotes are in that test's file; one that does not stand says why, in few classes; what is
 * still to come can only become less.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('the list of what is compatible');

const ROOT = join(import.meta.dirname, '../..');

/** Rows of each page, by section; those without sections count through. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  'inventory.md': upTo(200, ''),
  'documents.md': upTo(14, 'A'),
  'backup.md': chapter('10', '1.2:6 2:7 3:7 4:11 5:4 6:5 7:1 8:24 9:2 10:6 11:4 12:15 13:4 14:4 15:28'),
  'restore.md': chapter('20', '1.2:5 2:9 3:23 4:13 5:9 6:9 7:8 8:7 9:5 10:3 11:13 12:4 13:24'),
  'show-backup.md': chapter('30', '1:9 2:11 3:3 4:21 5:2 6:2 7:5 8:4'),
  'jobs.md': chapter('40', '1:12 2:19 3:2 4:16 5:4 6:14'),
  'schedules.md': chapter('50', '1:13 2:5 3:9 4:12 5:9 6:13 7:16 8:5 9:5 10:1 11:8'),
  'storage.md': chapter('60', '1:10 2:22 3:9 4:8 5:8 6:10 7:13 8:8 9:11 10:7 11:13 12:1'),
  'observability.md': chapter('80', '1:6 2:17 3:13 4:19 5:13 6:6 7:7 8:6'),
  'beyond.md': upTo(17, 'B'),
};

/** What may be left out for good. */
const LEFT_OUT: readonly string[] = ['virtual clusters', 'revision streams', 'licences', 'managed cloud', 'no such part'];

/** Rows that wait, by what they wait for: lower a number when rows have come to stand, never raise one. */
const WAITING: Readonly<Record<string, number>> = {
  console: 17,
  functions: 1,
};

interface Row {
  readonly number: string;
  readonly what: string;
  readonly stands: 'yes' | 'partly' | 'no' | 'not yet';
  /** Why not wholly. */
  readonly why: string;
  readonly tests: readonly (readonly [file: string, words: string])[];
}

function upTo(count: number, prefix: string): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);
}

/** `sections` as words like `8:24`: section 8 has 24 rows. */
function chapter(number: string, sections: string): readonly string[] {
  return sections.split(' ').flatMap((word) => {
    const [section, count] = word.split(':');
    return upTo(Number(count), `${number} §${section}.`);
  });
}

function rowsOf(page: string): Row[] {
  const lines = readFileSync(join(ROOT, 'docs/compatibility', page), 'utf8').split('\n');
  return lines
    .filter((line) => /^\| (?:[AB]?\d+|\d0 §[\d.]+) \|/.test(line))
    .map((line) => {
      const cells = line.slice(2, -2).split(' | ');
      const [number = '', what = '', standing = '', tests = ''] = cells;
      assert.is(cells.length, 4, line);
      const [, stands, why = ''] = /^(yes|partly|no|not yet)(?:: (.+))?$/.exec(standing) ?? [];
      assert.ok(stands, `${number}: "${standing}"`);
      const named = [...tests.matchAll(/`(test\/[^`]+)`: `([^`]+)`/g)].map(([, file = '', words = '']) => [file, words] as const);
      assert.is(named.map(([file, words]) => `\`${file}\`: \`${words}\``).join('<br>'), tests.trim(), `${number}: how tests are named`);
      return { number, what, stands: stands as Row['stands'], why, tests: named };
    });
}

const rows = new Map(Object.keys(PAGES).map((page) => [page, rowsOf(page)]));
const all = [...rows.values()].flat();

for (const [page, numbers] of Object.entries(PAGES)) {
  test(`${page} has each number once, in order`, () => {
    assert.equal(
      rows.get(page)?.map(({ number }) => number),
      numbers,
    );
  });
}

test('the tests that it names are there, and have the words that it quotes', () => {
  const texts = new Map<string, string>();
  const wrong: string[] = [];
  for (const { number, what, tests } of all) {
    if (what === '') wrong.push(`${number}: says nothing`);
    for (const [file, words] of tests) {
      if (!texts.has(file)) texts.set(file, existsSync(join(ROOT, file)) ? readFileSync(join(ROOT, file), 'utf8') : '');
      if (!texts.get(file)?.includes(words)) wrong.push(`${number}: ${file} has no "${words}"`);
    }
  }
  assert.equal(wrong, []);
});

test('what stands has a test, and what does not says why', () => {
  const wrong = all.filter(({ stands, why, tests }) => {
    if (stands === 'yes') return why !== '' || tests.length === 0;
    if (stands === 'partly') return why === '' || tests.length === 0;
    return !(stands === 'no' ? LEFT_OUT.includes(why) : Object.hasOwn(WAITING, why));
  });
  assert.equal(
    wrong.map(({ number, stands, why }) => `${number}: ${stands} ${why}`),
    [],
  );
});

test('what waits becomes less', () => {
  for (const [area, most] of Object.entries(WAITING)) {
    const waiting = all.filter(({ stands, why }) => stands === 'not yet' && why === area).length;
    assert.ok(waiting <= most, `${waiting} rows wait for ${area}, it was ${most}`);
  }
});

test('docs/compatibility.md sums the pages up', () => {
  const text = readFileSync(join(ROOT, 'docs/compatibility.md'), 'utf8');
  const sums = (list: readonly Row[]) =>
    [list.length, ...['yes', 'partly', 'no', 'not yet'].map((kind) => list.filter(({ stands }) => stands === kind).length)].join(' | ');
  for (const [page, list] of rows) assert.ok(text.includes(`](compatibility/${page}) | ${sums(list)} |`), `${page}: ${sums(list)}`);
  assert.ok(text.includes(`| all | ${sums(all)} |`), `all: ${sums(all)}`);
});

test.run();
