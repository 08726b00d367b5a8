/**
 * docs/backups.md, docs/backup_keys.md, docs/multiregion.md, docs/schedules.md, docs/storage.md: the statements of a page run in order in one database, and print what it
 * shows. `REWRITE=1` puts what they print into the page; the diff is then to be read.
 *
 *   <!-- run -->          the SQL block below is run; a text block right behind it is what its last statement prints
 *   <!-- clock: 10s -->   time passes
 *   <!-- command -->      the command of the sh block below is run, and must succeed
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { embeddedClient } from '../../src/cli/embeddedClient.ts';
import { main } from '../../src/cli/main.ts';
import { formatResult } from '../../src/cli/resultFormat.ts';
import { Database } from '../../src/server/database.ts';

const test = suite('pages about backups');
/** Pages, and how many steps each has at least. */
const PAGES = { 'backups.md': 11, 'backup_keys.md': 3, 'backup_listing.md': 9, 'multiregion.md': 17, 'schedules.md': 9, 'storage.md': 4 };
/** The nodes that a page has, where it needs more than one. */
const LOCALITIES: Readonly<Record<string, readonly string[]>> = {
  'multiregion.md': ['region=us-east1,zone=b', 'region=us-west1,zone=a', 'region=europe-west1,zone=c'],
};
const STEP = /<!-- clock: (\w+) -->|<!-- run -->\n```sql\n(.*?)```\n(?:```text\n(.*?)```)?|<!-- command -->\n```sh\n(.*?)```/gs;

for (const [name, stepsMin] of Object.entries(PAGES)) test(`the statements of ${name} print what it shows`, () => runPage(name, stepsMin));

async function runPage(name: string, stepsMin: number): Promise<void> {
  const file = join(import.meta.dirname, '../../docs', name);
  const page = await readFile(file, 'utf8');
  const folder = await mkdtemp(join(tmpdir(), 'varve-backups-'));
  const clock = new ManualClock('2026-11-20T12:00:00Z');
  const db = await Database.open({ clock, seed: 'docs', externalIoDir: folder, localities: LOCALITIES[name] });
  const client = embeddedClient(db);
  let rewritten = '';
  let at = 0;
  let stepCount = 0;
  try {
    for (const match of page.matchAll(STEP)) {
      const [whole, time, sql, shown, command] = match;
      let step = whole;
      if (time !== undefined) await clock.advance(time);
      if (command !== undefined) assert.is(await run(command.trim(), folder), 0, command);
      if (sql !== undefined) {
        const printed = formatResult(await client.run(sql), 'table');
        if (shown !== undefined) {
          if (process.env['REWRITE'] === undefined) assert.is(printed, shown, sql);
          step = whole.replace(`\`\`\`text\n${shown}\`\`\``, () => `\`\`\`text\n${printed}\`\`\``);
        }
      }
      rewritten += page.slice(at, match.index) + step;
      at = match.index + whole.length;
      stepCount++;
    }
    if (process.env['REWRITE'] !== undefined) await writeFile(file, rewritten + page.slice(at));
    assert.ok(stepCount >= stepsMin, `${stepCount} steps`);
  } finally {
    await client.close();
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(command: string, folder: string): Promise<number> {
  const [program, ...argv] = command.split(' ');
  assert.is(program, 'varve');
  const said: string[] = [];
  const io = { out: () => {}, err: (text: string) => void said.push(text), isTerminal: false, monotonicMicros: () => 0 };
  const status = await main([...argv, '--external-io-dir', folder], io);
  assert.equal(said, []);
  return status;
}

test.run();
