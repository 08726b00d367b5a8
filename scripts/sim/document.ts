/**
 * `node scripts/sim/document.ts [SUMMARY]`: takes over a summary of `npm run sim` as docs/simulator.json, and writes
 * its figures into docs/simulator.md, between the two markers there. Without a file it takes the one that is in docs.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';

import type { SummaryFile } from './summary.ts';

const JSON_FILE = new URL('../../docs/simulator.json', import.meta.url);
const PAGE = new URL('../../docs/simulator.md', import.meta.url);
const BEGIN = '<!-- figures: written by scripts/sim/document.ts -->';
const END = '<!-- end of figures -->';

/** What a count is of, by its name; the first that fits. */
const GROUPS: readonly (readonly [title: string, pattern: RegExp])[] = [
  ['At pausepoints of jobs', / at (backup|restore|schemachange)\./],
  ['Faults of the storage', /^fault /],
  ['Refusals and conflicts, each judged', /: [0-9A-Z]{5}$|^(transaction outlived|backup that lost|canceled statement)/],
  ['Jobs', /^(job |(pause|resume|cancel) job)/],
  ['Comparisons with the model', /compared|^gc run that/],
  ['Backups and restores', /^(backup|restore|collection)/],
  ['Schemas and zones', /^(create|drop|add|rename|truncate|exclude|include|configure|protect|release)(?! fork)/],
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

/** The page with other figures between its markers. */
export function withFigures(page: string, figures: string): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/simulator.md has lost its markers');
  return `${page.slice(0, from + BEGIN.length)}\n\n${figures}\n\n${page.slice(to)}`;
}

if (import.meta.main) {
  const [, , file] = process.argv;
  if (file !== undefined) copyFileSync(file, JSON_FILE);
  const summary = JSON.parse(readFileSync(JSON_FILE, 'utf8')) as SummaryFile;
  writeFileSync(PAGE, withFigures(readFileSync(PAGE, 'utf8'), figuresOf(summary)));
}
