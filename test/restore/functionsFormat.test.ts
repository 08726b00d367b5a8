/**
 * A chain with functions of users, as the first version that carried them wrote it (major version 2 of the manifest): it is
 * restored for good, now and within its history. `test/golden/format/functions-v2` is never written again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MemoryFiles } from '../../src/storage/memory.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const root = fileURLToPath(new URL('../golden/format/functions-v2/', import.meta.url));
/** Where a manifest's major version stands: two bytes, little-endian (docs/format.md, section 3). */
const MAJOR_AT = 8;
const test = suite('golden functions');

test('a chain with functions is verified, and restored with what they were then', async () => {
  const db = await TestDatabase.open({ files: new MemoryFiles() });
  const storage = db.db.storage.open(COLLECTION, { user: 'root', nodeId: 1 });
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    const bytes = readFileSync(path);
    if (entry.name === 'BACKUP_MANIFEST') assert.is(bytes.readUInt16LE(MAJOR_AT), 2, path);
    await storage.write(path.slice(root.length).replace(/^\//, ''), bytes);
  }
  await db.clock.advance('1h');
  assert.equal(await db.rows(`SELECT DISTINCT status FROM [VERIFY BACKUP FROM LATEST IN '${COLLECTION}']`), [['ok']]);
  await db.run(
    `RESTORE DATABASE d FROM LATEST IN '${COLLECTION}'`,
    `RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' AS OF SYSTEM TIME '2026-11-20 12:00:15' WITH new_db_name = 'before'`,
  );
  assert.equal(await db.rows('SELECT d.public.total(), count(*) FROM d.public.t'), [['-841', '21']]);
  assert.equal(await db.rows('SELECT before.public.total(), count(*) FROM before.public.t'), [['840', '20']]);
  await db.run('INSERT INTO before.public.t (a) VALUES (31)');
  assert.equal(await db.rows('SELECT b FROM before.public.t WHERE a = 31'), [['42']]);
  await db.close();
});

test.run();
