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
import { type EncryptionSecrets, Keyring } from '../../src/backup/keyring.ts';
import { manifestToJson, readManifest } from '../../src/backup/manifest.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { SecretRegistry } from '../../src/storage/secretServices.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { goldenEntries, goldenManifest } from './goldenLayer.ts';

const root = fileURLToPath(new URL('../golden/format/', import.meta.url));
const executor = new PoolExecutor();
const test = suite('golden format');

/** What the golden layers that are encrypted open with, besides a KMS that gives back what it was given. */
const PASSPHRASE = 'golden passphrase';
const services = new SecretRegistry();
services.registerKms('golden', () => ({
  provider: 'golden',
  key: 'the key',
  encrypt: async (bytes) => bytes,
  decrypt: async (bytes) => bytes,
  close: async () => {},
}));
const SECRETS: readonly EncryptionSecrets[] = [
  { type: 'passphrase', passphrase: PASSPHRASE },
  { type: 'kms', uris: ['golden:///key'] },
];

const versions = readdirSync(root).filter((name) => /^(?:encrypted-)?v\d+$/.test(name));
for (const [version, secrets] of versions.flatMap((name) =>
  (name.startsWith('v') ? [undefined] : SECRETS).map((one) => [name, one] as const),
)) {
  test(`a layer of format ${version} is read${secrets === undefined ? '' : `, by ${secrets.type}`}`, async () => {
    const files = openMemory(ParsedUri.parse('mem://b'), new MemoryFiles());
    const storage = collectionAt(files, new Keyring(secrets, services, { user: 'root' }));
    for (const entry of readdirSync(`${root}${version}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath}/${entry.name}`;
      await storage.write(`d/${path.slice(`${root}${version}/`.length)}`, readFileSync(path));
    }
    const layer = await readManifest(storage, 'd');
    const { cipher } = layer;
    assert.is(cipher !== undefined, secrets !== undefined);
    const { writtenBy: _version, ...found } = manifestToJson(layer.manifest);
    const [file] = layer.manifest.files;
    if (file === undefined) throw new Error('no file in the golden manifest');
    const { writtenBy: _ours, ...expected } = manifestToJson(goldenManifest(file));
    assert.equal(found, expected);
    proveCoverage([layer]);

    const entries = [];
    for await (const { keys, timestamps, values } of readDataFile(storage, `d/${file.path}`, file, {
      executor,
      cipher: cipher?.forFile(file.path),
    })) {
      for (let i = 0; i < keys.length; i++) entries.push([keys[i], timestamps[i], values[i]]);
    }
    assert.equal(entries, goldenEntries());

    const checkpoint = await readNewestCheckpoint(storage, 'd', layer.manifest, { cipher });
    assert.equal(checkpoint?.files, layer.manifest.files);
  });
}

test('there are golden layers', () => {
  for (const version of ['v1', 'encrypted-v1']) assert.ok(versions.includes(version));
});

test.run();
