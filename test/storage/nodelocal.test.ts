/** nodelocal:// passes the conformance suite and never leaves its directory. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { openNodelocal } from '../../src/storage/nodelocal.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { storageConformance } from './conformance.ts';

const root = await mkdtemp(join(tmpdir(), 'varve-nodelocal-'));
const context = { user: 'root', nodeId: 1 };
const open = (uri: string, externalIoDir: string | undefined = join(root, 'extern')) =>
  openNodelocal(ParsedUri.parse(uri), context, { externalIoDir, hasNode: (nodeId) => nodeId >= 1 && nodeId <= 3 });
let opened = 0;

storageConformance('nodelocal', {
  open: async () => open(`nodelocal://1/location/${++opened}`),
  reopen: async (storage) => open(storage.uri.unredacted()),
});

storageConformance('nodelocal with fsync', {
  open: async () =>
    openNodelocal(ParsedUri.parse('nodelocal://self'), context, {
      externalIoDir: join(root, `synced${++opened}`),
      hasNode: () => true,
      fsync: true,
    }),
  reopen: async (storage) =>
    openNodelocal(storage.uri, context, { externalIoDir: join(root, `synced${opened}`), hasNode: () => true, fsync: true }),
});

const test = suite('nodelocal storage');
const codeOf = async (call: () => Promise<unknown>): Promise<string> => {
  try {
    await call();
    return 'no error';
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
};

test('every host means the same directory', async () => {
  await open('nodelocal://1/shared').write('f', Buffer.from('x'));
  for (const host of ['2', '3', '0', 'self']) assert.equal(await open(`nodelocal://${host}/shared`).list(''), ['f']);
});

test('a host that names no node is refused', async () => {
  for (const [uri, message] of [
    ['nodelocal:///p', '22023 host component of nodelocal URI must be a node ID: "nodelocal:///p"'],
    ['nodelocal://n1/p', '22023 host component of nodelocal URI must be a node ID: "nodelocal://n1/p"'],
    ['nodelocal://9/p', '22023 nodelocal URI names node 9, which does not exist'],
    ['nodelocal://1/p?AUTH=implicit', '22023 unknown nodelocal query parameters: AUTH'],
    ['nodelocal://1/../p', '22023 path of "nodelocal://1/../p" is not normalised'],
    ['nodelocal://1/a/%2E%2E/p', '22023 path of "nodelocal://1/a/%2E%2E/p" is not normalised'],
  ] as const) {
    assert.is(await codeOf(async () => open(uri)), message);
  }
});

test('without a directory nodelocal is disabled', async () => {
  const disabled = () => openNodelocal(ParsedUri.parse('nodelocal://1/p'), context, { externalIoDir: undefined, hasNode: () => true });
  assert.is(await codeOf(async () => disabled()), '55000 local file access is disabled');
});

test('a symbolic link never leads outside', async () => {
  const outside = join(root, 'outside');
  await mkdir(outside, { recursive: true });
  await writeFile(join(outside, 'secret'), 'secret');
  const base = join(root, 'linked');
  await mkdir(base, { recursive: true });
  await symlink(outside, join(base, 'folder'));
  await symlink(join(outside, 'secret'), join(base, 'file'));
  const storage = open('nodelocal://1', base);
  assert.equal(await storage.list(''), []);
  for (const call of [
    () => storage.read('folder/secret'),
    () => storage.write('folder/new', Buffer.from('x')),
    () => storage.write('folder/below/new', Buffer.from('x')),
    () => storage.delete('folder/secret'),
    () => storage.list('folder/'),
  ]) {
    assert.match(await codeOf(call), /^42501 "nodelocal:\/\/1" leads outside the external IO directory/);
  }
  assert.match(await codeOf(() => storage.read('file')), /^58030 cannot read "file" in "nodelocal:\/\/1": a symbolic link has this name/);
  // A write replaces the link itself, never the file behind it.
  await storage.write('file', Buffer.from('mine'));
  assert.is(await readFile(join(outside, 'secret'), 'utf8'), 'secret');
  assert.equal(await readdir(outside), ['secret']);
});

test('deleting the last file removes its folders, and no temporary file stays', async () => {
  const base = join(root, 'tidy');
  const storage = open('nodelocal://1/c', base);
  await storage.write('2026/11/20-1/data/1.vkv', Buffer.from('x'));
  await storage.write('2026/11/keep', Buffer.from('x'));
  assert.is(
    await codeOf(() => storage.write('2026/11/keep', Buffer.from('x'), { ifAbsent: true })),
    '58P02 file "2026/11/keep" exists already in "nodelocal://1/c"',
  );
  await storage.delete('2026/11/20-1/data/1.vkv');
  assert.equal((await readdir(base, { recursive: true })).sort(), ['c', 'c/2026', 'c/2026/11', 'c/2026/11/keep']);
  await storage.delete('2026/11/keep');
  assert.equal(await readdir(base), []);
});

test('a folder where a file is wanted, and the other way round, is an I/O error', async () => {
  const storage = open('nodelocal://1/mixed');
  await storage.write('a/b', Buffer.from('x'));
  assert.match(await codeOf(() => storage.write('a', Buffer.from('x'))), /^58030 cannot write "a"/);
  assert.match(
    await codeOf(() => storage.write('a/b/c', Buffer.from('x'))),
    /^58030 cannot write "a\/b\/c".*a file stands where a folder is needed/,
  );
});

test.after(() => rm(root, { recursive: true, force: true }));
test.run();
