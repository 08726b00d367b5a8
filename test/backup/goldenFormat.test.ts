/**
 * Files of every format version that was ever released, read for good.
 *
 * `test/golden/format/v<n>/` is a layer's directory that the writer of version n left. It is never
 * written again: a test that fails here means that backups out there cannot be read any more. The
 * content is what goldenLayer.ts says; its other parts hold versions, tombstones, keys that share
 * beginnings, times far apart, and a value that spans more than a block.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { PoolExecutor } from '../../src/base/executor.ts';
import { readNewestCheckpoint } from '../../src/backup/checkpoint.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { proveCoverage } from '../../src/backup/coverage.ts';
import { readDataFile } from '../../src/backup/dataFileReader.ts';
import { manifestToJson, readManifest } from '../../src/backup/manifest.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { goldenEntries, goldenManifest } from './goldenLayer.ts';

const root = fileURLToPath(new URL('../golden/format/', import.meta.url));
const executor = new PoolExecutor();
const test = suite('golden format');

for (const version of readdirSync(root).filter((name) => /^v\d+$/.test(name))) {
  test(`a layer of format ${version} is read`, async () => {
    const storage = collectionAt(openMemory(ParsedUri.parse('mem://b'), new MemoryFiles()));
    for (const entry of readdirSync(`${root}${version}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath}/${entry.name}`;
      await storage.write(`d/${path.slice(`${root}${version}/`.length)}`, readFileSync(path));
    }
    const layer = await readManifest(storage, 'd');
    const { writtenBy: _version, ...found } = manifestToJson(layer.manifest);
    const [file] = layer.manifest.files;
    if (file === undefined) throw new Error('no file in the golden manifest');
    const { writtenBy: _ours, ...expected } = manifestToJson(goldenManifest(file));
    assert.equal(found, expected);
    proveCoverage([layer]);

    const entries = [];
    for await (const { keys, timestamps, values } of readDataFile(storage, `d/${file.path}`, file, { executor })) {
      for (let i = 0; i < keys.length; i++) entries.push([keys[i], timestamps[i], values[i]]);
    }
    assert.equal(entries, goldenEntries());

    const checkpoint = await readNewestCheckpoint(storage, 'd', layer.manifest);
    assert.equal(checkpoint?.files, layer.manifest.files);
  });
}

test('there is a golden layer', () => {
  assert.ok(readdirSync(root).includes('v1'));
});

test.run();
