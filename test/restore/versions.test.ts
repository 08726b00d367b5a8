/**
 * Versions: which backups a cluster restores, by the version of CockroachDB that the taker counted as.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { openCollection } from '../../src/backup/collectionStorage.ts';
import { loadChain } from '../../src/backup/chain.ts';
import { writeManifest } from '../../src/backup/manifest.ts';
import { checkVersions, minimumRestorable } from '../../src/restore/restorableVersion.ts';
import type { Layer } from '../../src/backup/manifest.ts';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('restorable versions');

test('a cluster restores backups of the regular release before it, and of those between', () => {
  const oldest = (version: string) => minimumRestorable(version);
  assert.equal(['21.1', '21.2', '22.1', '23.2', '24.1'].map(oldest), ['20.2', '21.1', '21.2', '23.1', '23.2']);
  // Innovation releases may be skipped.
  assert.equal(['24.2', '24.3', '25.1', '25.2', '25.3', '25.4', '26.1', '26.2'].map(oldest), [
    '24.1',
    '24.1',
    '24.3',
    '24.3',
    '25.2',
    '25.2',
    '25.4',
    '25.4',
  ]);
});

const layerOf = (clusterVersion: string | undefined) => ({ directory: 'd', manifest: { clusterVersion } }) as unknown as Layer;

test('older and newer ones are refused by name', () => {
  const check = (taken: string | undefined, here: string, isUnsafe = false) => {
    try {
      checkVersions([layerOf(taken)], here, isUnsafe);
      return 'restored';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.is(check('24.1', '24.3'), 'restored');
  assert.is(check('23.2', '24.3'), 'backup from version 23.2 is older than the minimum restorable version 24.1');
  assert.is(check('23.2', '24.3', true), 'restored');
  assert.is(check('24.3', '24.1', true), 'backup from version 24.3 is newer than current version 24.1');
  // Layers of before the version was told.
  assert.is(check(undefined, '21.1'), 'restored');
  assert.is(check(undefined, '22.1'), 'backup from version 21.1 is older than the minimum restorable version 21.2');
});

test('RESTORE asks each layer that it reads', async () => {
  const database = await TestDatabase.open();
  try {
    await database.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', `BACKUP DATABASE d INTO '${COLLECTION}'`);
    await database.run('INSERT INTO d.t VALUES (1)', `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
    const restore = (options = '') => database.error(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'e'${options}`);
    await asOfVersion(database, '20.1');
    assert.is(await restore(), '22023 backup from version 20.1 is older than the minimum restorable version 20.2');
    assert.is(await restore(', unsafe_restore_incompatible_version'), 'no error');
    await database.run('DROP DATABASE e');
    await asOfVersion(database, '21.2');
    assert.is(await restore(', unsafe_restore_incompatible_version'), '22023 backup from version 21.2 is newer than current version 21.1');
    await asOfVersion(database, '20.2');
    assert.is(await restore(), 'no error');
  } finally {
    await database.close();
  }
});

/** Writes the newest layer's manifest again, as a cluster of that version would have. */
async function asOfVersion({ db }: TestDatabase, clusterVersion: string): Promise<void> {
  const storage = openCollection(db.storage, { uris: [COLLECTION], incrementalUris: [] }, { user: 'root', nodeId: 1 });
  try {
    const full = (await storage.list('')).find((name) => /^\d{4}.*BACKUP_MANIFEST$/.test(name)) ?? '';
    const chain = await loadChain(storage, full.split('/').slice(0, -1).join('/'));
    const newest = chain.at(-1) ?? chain[0];
    await writeManifest(storage, newest.directory, { ...newest.manifest, clusterVersion });
  } finally {
    await storage.close();
  }
}

test.run();
