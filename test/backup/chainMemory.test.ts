/** What planning remembers of chains: a long chain costs what is new, damage and losses show all the same, and keys are asked for. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { VarveError } from '../../src/base/errors.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { findPriorLayers } from '../../src/backup/backupDestination.ts';
import { ChainMemory, TURNS } from '../../src/backup/chainMemory.ts';
import { fullDirectory, incrementalDirectory, MANIFEST_NAME } from '../../src/backup/collection.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { type Layer, writeManifest } from '../../src/backup/manifest.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { makeLayer } from './support.ts';

const test = suite('chain memory');

const FULL_TIME = timestamp(Date.parse('2026-11-20T00:00:00Z') * 1000);
const FULL = fullDirectory(FULL_TIME);
const MINUTE = 60_000_000;

/** A chain that grows; `plan` finds what the next layer continues and tells which manifests it read. */
class GrowingChain {
  readonly storage = collectionAt(openMemory(ParsedUri.parse('mem://b/c'), new MemoryFiles()));
  readonly layers: Layer[] = [];
  readonly memory = new ChainMemory();
  readonly reads: string[] = [];
  readonly #counting = new Proxy(this.storage, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'read' && String(args[0]).endsWith(MANIFEST_NAME)) this.reads.push(String(args[0]));
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });

  async add(): Promise<void> {
    const parent = this.layers.at(-1);
    const end = (FULL_TIME + this.layers.length * MINUTE) as Timestamp;
    const directory = parent === undefined ? FULL : incrementalDirectory(FULL, end);
    const start = parent?.manifest.endTime ?? (0 as Timestamp);
    const { manifest } = makeLayer({ directory, start, end, parent, spans: ['a-c'] });
    this.layers.push({ directory, manifest, manifestSha256: await writeManifest(this.storage, directory, manifest) });
  }

  async plan(): Promise<{ newest: string | undefined; covered: readonly unknown[]; reads: string[] }> {
    this.reads.length = 0;
    const prior = await findPriorLayers(
      this.#counting,
      { type: 'subdir', full: FULL },
      async () => true,
      (full) => this.memory.of(full),
    );
    return { newest: prior?.newest.directory, covered: prior?.covered ?? [], reads: [...this.reads] };
  }
}

async function chainOf(layers: number): Promise<GrowingChain> {
  const chain = new GrowingChain();
  for (let i = 0; i < layers; i++) await chain.add();
  return chain;
}

test('a plan reads the full, what is new, the newest, and some of the others in turn, however long the chain', async () => {
  const chain = await chainOf(60);
  assert.is((await chain.plan()).reads.length, 60);
  const seen = new Set<string>();
  for (let round = 0; round < 8; round++) {
    await chain.add();
    const { newest, reads, covered } = await chain.plan();
    assert.is(newest, chain.layers.at(-1)?.directory);
    assert.is(reads.length, 2 + TURNS);
    assert.ok(reads.includes(`${FULL}/${MANIFEST_NAME}`) && reads.includes(`${newest}/${MANIFEST_NAME}`));
    assert.equal(covered, [{ span: { key: 'a', endKey: 'c' }, time: chain.layers.at(-1)?.manifest.endTime }]);
    for (const name of reads) seen.add(name);
  }
  assert.is(seen.size, 68, 'each of them had its turn');
});

test('all of a short chain is read each time', async () => {
  const chain = await chainOf(TURNS + 2);
  for (let i = 0; i < 3; i++) assert.is((await chain.plan()).reads.length, TURNS + 2);
});

test('a damaged manifest in the middle of a long chain is found when its turn comes', async () => {
  const chain = await chainOf(50);
  await chain.plan();
  const victim = `${chain.layers[25]?.directory}/${MANIFEST_NAME}`;
  await chain.storage.write(victim, Buffer.from('damaged'));
  const errors: string[] = [];
  for (let i = 0; i < 8 && errors.length === 0; i++) {
    await chain.plan().catch((error: VarveError) => errors.push(error.code, error.message));
  }
  assert.is(errors[0], 'XX001');
  assert.match(errors[1] ?? '', victim);
  // It is read until it is well again.
  await chain.plan().then(
    () => assert.unreachable('it is damaged still'),
    (error: VarveError) => assert.is(error.code, 'XX001'),
  );
});

test('a layer that is deleted, or written anew, is not taken from memory', async () => {
  for (const rewrite of [false, true]) {
    const chain = await chainOf(50);
    await chain.plan();
    const { directory, manifest } = chain.layers[48] as Layer;
    for (const name of await chain.storage.list(`${directory}/`)) await chain.storage.delete(name);
    if (rewrite) await writeManifest(chain.storage, directory, { ...manifest, jobId: '7' });
    const why: string[] = [];
    for (let i = 0; i < 8 && why.length === 0; i++) await chain.plan().catch((error: VarveError) => why.push(error.message));
    assert.match(why[0] ?? '', 'continues a layer that is not there');
  }
});

test('the newest layer is always read: a chain that was cut goes on from where it ends now', async () => {
  const chain = await chainOf(40);
  await chain.plan();
  for (const { directory } of chain.layers.splice(30)) {
    for (const name of await chain.storage.list(`${directory}/`)) await chain.storage.delete(name);
  }
  const { newest, covered } = await chain.plan();
  assert.is(newest, chain.layers.at(-1)?.directory);
  assert.equal(covered, [{ span: { key: 'a', endKey: 'c' }, time: chain.layers.at(-1)?.manifest.endTime }]);
});

test('two chains are remembered apart, and a great number of them not all', async () => {
  const memory = new ChainMemory();
  const [one, other] = [memory.of('1'), memory.of('2')];
  assert.is.not(one, other);
  assert.is(memory.of('1'), one);
  for (let i = 3; i < 100; i++) memory.of(String(i));
  assert.is.not(memory.of('2'), other);
});

test.run();
