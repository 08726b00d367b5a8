/** SHOW BACKUPS of many layers: a page of fifty, a notice that says how to see the rest, and bounds that leave nothing out. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Session } from '../../src/sql/exec/session.ts';
import { COLLECTION, TestDatabase } from '../restore/database.ts';

const test = suite('show backups');

const LAYERS = 53;

async function shown(session: Session, clauses: string): Promise<{ ids: string[]; notices: string[] }> {
  const [result] = await session.execute(`SHOW BACKUPS IN '${COLLECTION}' ${clauses}`);
  assert.equal(
    result?.columns?.map(({ name }) => name),
    ['id', 'backup_time'],
  );
  return { ids: result?.rows.map(([id]) => String(id)) ?? [], notices: result?.notices.map(({ message }) => message) ?? [] };
}

test('at most fifty rows unless both bounds are given, and a notice that leads to the others', async () => {
  const database = await TestDatabase.open();
  await database.run('CREATE DATABASE d', 'SET use_backups_with_ids = true');
  const { session, clock } = database;
  assert.equal(await shown(session, ''), { ids: [], notices: [] });
  for (let layer = 0; layer < LAYERS; layer++) {
    await clock.advance('10m');
    await database.run(`BACKUP DATABASE d INTO ${layer % 10 === 0 ? '' : 'LATEST IN '}'${COLLECTION}'`);
  }
  const first = await shown(session, '');
  assert.is(first.ids.length, 50);
  const notice = first.notices[0] ?? '';
  assert.match(notice, /^only showing 50 most recent backups\. To see more, please run `SHOW BACKUPS IN \.\.\. OLDER THAN '[-\d: ]+'`/);
  // The page that the notice names begins with the last row of this one.
  const bound = /OLDER THAN '([^']+)'/.exec(notice)?.[1];
  const rest = await shown(session, `OLDER THAN '${bound}'`);
  assert.is(rest.ids[0], first.ids.at(-1));
  assert.equal(rest.notices, []);
  const all = await shown(session, `NEWER THAN '-1w' OLDER THAN '-1us'`);
  assert.equal(all.ids, [...first.ids, ...rest.ids.slice(1)]);
  assert.is(new Set(all.ids).size, LAYERS);
  assert.equal(all.notices, []);
  const half = await shown(session, `NEWER THAN '-65m'`);
  assert.equal(half.ids, all.ids.slice(0, 7));
  // Each id is one layer, and SHOW BACKUP knows it.
  for (const id of [all.ids[0], all.ids[30], all.ids.at(-1)]) {
    assert.equal(await database.rows(`SELECT count(DISTINCT end_time) FROM [SHOW BACKUP FROM '${id}' IN '${COLLECTION}']`), [['1']]);
  }
  await database.close();
});

test.run();
