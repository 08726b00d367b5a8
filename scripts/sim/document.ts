/**
 * `node scripts/sim/document.ts [SUMMARY...]`: takes over summaries of `npm run sim`, merged, as docs/simulator.json, and
 * writes their figures into docs/simulator.md, between the two markers there; without a file, those of the one in docs.
 * Writes also, into docs/simulator.md and docs/advisories.md, which seeds find the known bugs (test/sim/faults.json).
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { TEST_FAULTS } from '../../src/base/testFaults.ts';
import { type Finders, readFinders } from './hunt.ts';
import { mergeSummaries, type SummaryFile } from './summary.ts';

const JSON_FILE = new URL('../../docs/simulator.json', import.meta.url);
const SIMULATOR_PAGE = new URL('../../docs/simulator.md', import.meta.url);
const ADVISORIES_PAGE = new URL('../../docs/advisories.md', import.meta.url);

/** What a count is of, by its name; the first that fits. */
const GROUPS: readonly (readonly [title: string, pattern: RegExp])[] = [
  ['At pausepoints of jobs', / at (backup|restore|schemachange)\./],
  ['Faults of the storage', /^fault /],
  ['Refusals and conflicts, each judged', /: [0-9A-Z]{5}$|^(transaction outlived|backup that lost|canceled statement)/],
  ['Jobs', /^(job |(pause|resume|cancel) job)/],
  ['Comparisons with the model', /compared|^gc run that/],
  ['Backups and restores', /^(backup|restore|collection)/],
  ['Schemas and zones', /^(create|drop|add|rename|truncate|exclude|include|fill|configure|protect|release)(?! fork)/],
  ['Nodes, ranges, time, GC and forks', /^(node|no node|split|merge|move lease|clock|gc run|fork|drop fork|write in fork)/],
  ['Transactions and statements', /./],
];

export function figuresOf({ seedCount, stepsPerSeed, seeds, failures, counts }: SummaryFile): string {
  const groups = new Map<string, [what: string, count: number][]>(GROUPS.map(([title]) => [title, []]));
  for (const [what, count] of Object.entries(counts)) {
    const [title] = GROUPS.find(([, pattern]) => pattern.test(what)) as (typeof GROUPS)[number];
    groups.get(title)?.push([what, count]);
  }
  const number = (value: number) => value.toLocaleString('en-US');
  const text = [
    `${number(seedCount)} seeds (${seeds}) of ${number(stepsPerSeed)} steps each, ${number(seedCount * stepsPerSeed)} steps in all, have passed.`,
  ];
  const failed = Object.keys(failures).length;
  if (failed > 0) text.push('', `${failed} of the seeds tried have failed and wait for a second run: ${Object.keys(failures).join(', ')}.`);
  for (const [title, rows] of [...groups].reverse()) {
    if (rows.length === 0) continue;
    text.push('', `### ${title}`, '', '| what | times |', '|---|--:|');
    for (const [what, count] of rows) text.push(`| ${what} | ${number(count)} |`);
  }
  return text.join('\n');
}

/** Which seed finds which bug, with the command that shows it. */
export function seedsOf(finders: Finders): string {
  const rows = TEST_FAULTS.map((fault) => {
    const finder = finders[fault];
    if (finder === undefined) return `| ${fault} | none | | |`;
    const { seed, steps, invariant } = finder;
    return `| ${fault} | ${seed} | ${invariant} | \`npm run sim -- --fault ${fault} --seed ${seed} --steps ${steps}\` |`;
  });
  return ['| Bug | Seed | What breaks | Shown by |', '|---|--:|---|---|', ...rows].join('\n');
}

/** Writes a text between the two markers of a part of a page. */
function writePart(page: URL, part: string, text: string): void {
  const begin = `<!-- ${part}: written by scripts/sim/document.ts -->`;
  const before = readFileSync(page, 'utf8');
  const from = before.indexOf(begin);
  const to = before.indexOf(`<!-- end of ${part} -->`);
  if (from < 0 || to < from) throw new Error(`${page.pathname} has lost its markers of ${part}`);
  writeFileSync(page, `${before.slice(0, from + begin.length)}\n\n${text}\n\n${before.slice(to)}`);
}

const read = (file: string | URL): SummaryFile => JSON.parse(readFileSync(file, 'utf8')) as SummaryFile;

if (import.meta.main) {
  const files = process.argv.slice(2);
  if (files.length > 0) writeFileSync(JSON_FILE, `${JSON.stringify(mergeSummaries(files.map(read)), undefined, 2)}\n`);
  writePart(SIMULATOR_PAGE, 'figures', figuresOf(read(JSON_FILE)));
  for (const page of [SIMULATOR_PAGE, ADVISORIES_PAGE]) writePart(page, 'seeds', seedsOf(readFinders()));
}
