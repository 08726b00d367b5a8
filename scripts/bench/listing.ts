/**
 * Listings: SHOW BACKUPS of a collection of many layers, on disk, and SHOW BACKUP of a backup of many tables. Beside each what it would
 * cost without an index, or does cost below the statement: reading the manifests.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { fullDirectory, incrementalDirectory } from '../../src/backup/collection.ts';
import { type CollectionStorage, collectionAt } from '../../src/backup/collectionStorage.ts';
import { indexOfLayer, writeIndexFile } from '../../src/backup/indexFile.ts';
import { type Layer, readManifest, writeManifest } from '../../src/backup/manifest.ts';
import { open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

const LAYERS = 1000;
/** Layers of a chain. */
const CHAIN = 50;
const TABLES = 10_000;
const START = Date.parse('2026-01-01T00:00:00Z') * 1000;
const MICROS_PER_HOUR = 3_600_000_000;

/** Milliseconds of the best of three. */
async function best(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    const before = performance.now();
    await work();
    least = Math.min(least, performance.now() - before);
  }
  return least;
}

function collection(db: Varve, uri: string): CollectionStorage {
  return collectionAt(db.database.storage.open(uri, { user: 'root', nodeId: 1 }));
}

/** Copies one layer's manifest to LAYERS directories, each with its own times, and indexes them. */
async function manyLayers(db: Varve): Promise<Layer[]> {
  await db.query(
    "CREATE DATABASE one; CREATE TABLE one.t (id INT PRIMARY KEY); INSERT INTO one.t VALUES (1); BACKUP DATABASE one INTO 'nodelocal://1/one'",
  );
  const [path] = (await db.query("SHOW BACKUPS IN 'nodelocal://1/one'")).rows;
  const from = collection(db, 'nodelocal://1/one');
  const { manifest } = await readManifest(from, String(path?.['path']).slice(1));
  const to = collection(db, 'nodelocal://1/many');
  const layers: Layer[] = [];
  for (let i = 0; i < LAYERS; i++) {
    const endTime = (START + i * MICROS_PER_HOUR) as Timestamp;
    const parent = i % CHAIN === 0 ? undefined : layers.at(-1);
    const full = parent === undefined ? fullDirectory(endTime) : fullOf(layers, i);
    const directory = parent === undefined ? full : incrementalDirectory(full, endTime);
    const startTime = (parent?.manifest.endTime ?? 0) as Timestamp;
    const own = {
      ...manifest,
      kind: parent === undefined ? ('full' as const) : ('incremental' as const),
      startTime,
      endTime,
      revisionStartTime: endTime,
      parent: parent && { directory: parent.directory, endTime: parent.manifest.endTime, manifestSha256: parent.manifestSha256 },
    };
    const layer: Layer = { directory, manifest: own, manifestSha256: await writeManifest(to, directory, own) };
    await writeIndexFile(to, full, indexOfLayer(layer));
    layers.push(layer);
  }
  return layers;
}

const fullOf = (layers: readonly Layer[], i: number): string => (layers[i - (i % CHAIN)] as Layer).directory;

async function run(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const db = await open({ externalIoDir: folder });
  try {
    const layers = await manyLayers(db);
    const storage = collection(db, 'nodelocal://1/many');
    const client = db.connect();
    const readMs = await best(async () => {
      for (const { directory } of layers) await readManifest(storage, directory);
    });
    await client.query('SET use_backups_with_ids = true');
    const listMs = await best(() => client.query("SHOW BACKUPS IN 'nodelocal://1/many'"));
    const names = Array.from({ length: TABLES }, (_, i) => `CREATE TABLE wide.t${i} (id INT PRIMARY KEY)`);
    await db.query('CREATE DATABASE wide');
    for (let at = 0; at < names.length; at += 500) await db.query(names.slice(at, at + 500).join('; '));
    await db.query("BACKUP DATABASE wide INTO 'nodelocal://1/wide'");
    const wide = collection(db, 'nodelocal://1/wide');
    const [path] = (await db.query("SHOW BACKUPS IN 'nodelocal://1/wide'")).rows;
    const manifestMs = await best(() => readManifest(wide, String(path?.['path']).slice(1)));
    const showMs = await best(() => db.query("SELECT count(*) FROM [SHOW BACKUP FROM LATEST IN 'nodelocal://1/wide']"));
    client.close();
    return [
      {
        name: `backup listing: SHOW BACKUPS of ${LAYERS} layers`,
        measured: `${listMs.toFixed(0)} ms`,
        ceiling: `reading all their manifests ${readMs.toFixed(0)} ms`,
        ratio: listMs / readMs,
      },
      {
        name: `backup listing: SHOW BACKUP of ${TABLES} tables`,
        measured: `${showMs.toFixed(0)} ms`,
        ceiling: `reading its manifest ${manifestMs.toFixed(0)} ms`,
        ratio: showMs / manifestMs,
      },
    ];
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
}

export const cases: readonly BenchCase[] = [{ name: 'backup listing', run }];
