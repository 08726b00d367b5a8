/** A chain in which layers of different versions meet: an incremental on a later version's full, and a restore of both. */
import * as assert from 'uvu/assert';

import { createHash } from 'node:crypto';

import { MANIFEST_CHECKSUM_NAME, MANIFEST_NAME } from '../../src/backup/collection.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { encodeEnvelope, MANIFEST_MAGIC } from '../../src/backup/envelope.ts';
import { manifestToJson, readManifest } from '../../src/backup/manifest.ts';
import { COLLECTION, type TestDatabase } from '../restore/database.ts';
import { restored, testAdvisory } from './support.ts';

/** Makes the only layer one that a later version wrote, with a field that this one does not know. */
async function passToLaterVersion(db: TestDatabase): Promise<void> {
  const storage = db.db.storage.open(COLLECTION, { user: 'root', nodeId: 1 });
  const [[path] = []] = await db.rows(`SHOW BACKUPS IN '${COLLECTION}'`);
  const directory = String(path).replace(/^\//, '');
  const { manifest } = await readManifest(collectionAt(storage), directory);
  const later = { ...manifestToJson(manifest), minorVersion: 7, writtenBy: '0.9.0', somethingNew: { any: [1] } };
  const bytes = await encodeEnvelope(MANIFEST_MAGIC, 1, JSON.stringify(later));
  await storage.write(`${directory}/${MANIFEST_NAME}`, bytes);
  await storage.write(`${directory}/${MANIFEST_CHECKSUM_NAME}`, Buffer.from(`${createHash('sha256').update(bytes).digest('hex')}\n`));
}

testAdvisory('a72839', 'a chain goes on over a change of version', async (db) => {
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1)');
  await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
  await passToLaterVersion(db);
  await db.run(`INSERT INTO d.t VALUES (2); BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
  assert.equal(await restored(db, COLLECTION, 't'), [['1'], ['2']]);
});
