/** A storage that cannot list passes the conformance suite with listings kept beside its files. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { ListingLocks, withListings } from '../../src/storage/listed.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { storageConformance } from './conformance.ts';
import { withoutList } from './withoutList.ts';

const files = new MemoryFiles();
const locks = new ListingLocks();
let opened = 0;
const open = (uri: ParsedUri): ExternalStorage => withListings(withoutList(openMemory(uri, files)), locks);

storageConformance('memory without list', {
  open: async () => open(ParsedUri.parse(`mem://bucket/location/${++opened}`)),
  reopen: async (storage) => open(storage.uri),
});

const test = suite('listings beside files');

test('a storage that can list is left alone', () => {
  const storage = openMemory(ParsedUri.parse('mem://b/own'), files);
  assert.is(withListings(storage, locks), storage);
});

test('nothing is left when the last file goes', async () => {
  const plain = openMemory(ParsedUri.parse('mem://b/empty'), files);
  const storage = open(plain.uri);
  await storage.write('a/b/c', Buffer.from('1'));
  await storage.write('a/d', Buffer.from('2'));
  assert.equal(await plain.list(''), ['.listing', 'a/.listing', 'a/b/.listing', 'a/b/c', 'a/d']);
  await storage.delete('a/b/c');
  assert.equal(await plain.list(''), ['.listing', 'a/.listing', 'a/d']);
  assert.equal(await storage.list('a/', { delimiter: '/' }), ['a/d']);
  await storage.delete('a/d');
  assert.equal(await plain.list(''), []);
});

test('many writers of one folder lose no name', async () => {
  const uri = ParsedUri.parse('mem://b/many');
  const names = Array.from({ length: 30 }, (_, i) => `f/${String(i).padStart(2, '0')}`);
  await Promise.all(names.map((name) => open(uri).write(name, Buffer.from(name))));
  assert.equal(await open(uri).list('f/'), names);
  await Promise.all(names.slice(0, 20).map((name) => open(uri).delete(name)));
  assert.equal(await open(uri).list(''), names.slice(20));
});

test('a name that another process overwrote is entered again', async () => {
  const plain = openMemory(ParsedUri.parse('mem://b/race'), files);
  let stored = 0;
  // The other's listing lands on this one's first write, and lacks its name.
  const racing: ExternalStorage = Object.assign(Object.create(withoutList(plain)), {
    write: async (...[name, source, options]: Parameters<ExternalStorage['write']>) => {
      const result = await plain.write(name, source, options);
      if (name === '.listing' && ++stored === 1) await plain.write(name, Buffer.from('["other"]\n'));
      return result;
    },
  });
  await withListings(racing, locks).write('own', Buffer.from('x'));
  assert.equal(await open(plain.uri).list(''), ['other', 'own']);
});

test('a damaged listing is named', async () => {
  const plain = openMemory(ParsedUri.parse('mem://b/damaged'), files);
  await plain.write('x/.listing', Buffer.from('{'));
  const error = await open(plain.uri)
    .list('x/')
    .catch((caught: unknown) => caught);
  assert.is((error as { code: string; file: string }).code, 'XX001');
  assert.is((error as { code: string; file: string }).file, 'x/.listing');
});

test('the name of a listing is no name for a file', async () => {
  const error = await open(ParsedUri.parse('mem://b/own'))
    .write('a/.listing', Buffer.from(''))
    .catch((caught: unknown) => caught);
  assert.is((error as { code: string }).code, '22023');
});

test.run();
