/** mem:// passes the conformance suite, and shares files between openings of one bucket. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { storageConformance } from './conformance.ts';

const files = new MemoryFiles();
let opened = 0;

storageConformance('memory', {
  open: async () => openMemory(ParsedUri.parse(`mem://bucket/location/${++opened}`), files),
  reopen: async (storage) => openMemory(storage.uri, files),
});

const test = suite('memory storage');

test('a base path is a folder of its bucket', async () => {
  const own = new MemoryFiles();
  const inner = openMemory(ParsedUri.parse('mem://b/x/y'), own);
  await inner.write('f', Buffer.from('1'));
  const outer = openMemory(ParsedUri.parse('mem://b'), own);
  await outer.write('x/yz', Buffer.from('2'));
  assert.equal(await outer.list(''), ['x/y/f', 'x/yz']);
  assert.equal(await inner.list(''), ['f']);
  assert.equal(await openMemory(ParsedUri.parse('mem://other'), own).list(''), []);
});

test('a URI without a bucket, with parameters or with a path upwards is refused', () => {
  for (const [uri, message] of [
    ['mem:///p', 'no bucket in "mem:///p"'],
    ['mem://b/p?FOO=1', 'unknown mem query parameters: FOO'],
    ['mem://b/a/../c', 'path of "mem://b/a/../c" is not normalised'],
  ] as const) {
    assert.throws(
      () => openMemory(ParsedUri.parse(uri), files),
      (error: { code: string; message: string }) => error.code === '22023' && error.message === message,
    );
  }
});

test.run();
