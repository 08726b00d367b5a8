/**
 * A chain with fingerprints, as the first version that took them wrote it: it is verified for good, with the
 * fingerprints of then. `test/golden/format/proved-v1` is never written again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MemoryFiles } from '../../src/storage/memory.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const root = fileURLToPath(new URL('../golden/format/proved-v1/', import.meta.url));
const test = suite('golden fingerprints');

test('a chain with fingerprints is verified, restored and attached', async () => {
  const db = await TestDatabase.open({ files: new MemoryFiles() });
  const storage = db.db.storage.open(COLLECTION, { user: 'root', nodeId: 1 });
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = `${entry.parentPath}/${entry.name}`;
    if (entry.isFile()) await storage.write(path.slice(root.length).replace(/^\//, ''), readFileSync(path));
  }
  await db.clock.advance('1h');
  assert.equal(
    await db.rows(
      `SELECT backup_type, table_name, rows, index_entries, times_checked, fingerprint, status FROM [VERIFY BACKUP FROM LATEST IN '${COLLECTION}']`,
    ),
    [
      ['full', 'd.public.t', '44', '44', '3', 'ac65da4aa60cf7b1852f6358e5e31eaa', 'ok'],
      ['incremental', 'd.public.t', '5', '5', '6', '905b7e9b6b964d66f0f9bdeccb68ffc1', 'ok'],
      ['incremental', 'd.public.t', '10', '10', '1', '753d8f95dee3cc205995d869a35f8bb5', 'ok'],
    ],
  );
  await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}'`, `ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  for (const table of ['d.public.t', 'old.public.t']) {
    const [primary] = await db.rows(`SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE ${table}`);
    assert.equal(primary, ['t_pkey', '753d8f95dee3cc205995d869a35f8bb5'], table);
  }
  assert.equal(await db.rows("SELECT count(*), count(note) FROM old.public.t AS OF SYSTEM TIME '2026-11-20 12:00:05'"), [['40', '40']]);
  await db.close();
});

test.run();
