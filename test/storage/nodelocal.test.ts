/** nodelocal:// passes the conformance suite and never leaves its directory. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { openNodelocal } from '../../src/storage/nodelocal.ts';
import { sweepTemporaries, temporaryName } from '../../src/storage/nodelocalTemporary.ts';
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

test('lent pieces of a stream stay until the next but one, and take the memory of two', async () => {
  const storage = open('nodelocal://1/lent');
  const content = Buffer.alloc((4 << 20) + 5, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  await storage.write('f', content);
  const memory = new Set<ArrayBufferLike>();
  const got: Buffer[] = [];
  let last: Uint8Array | undefined;
  for await (const piece of storage.readStream('f', { isLent: true })) {
    if (last) got.push(Buffer.from(last));
    last = piece;
    memory.add(piece.buffer);
  }
  assert.ok(Buffer.concat([...got, last as Uint8Array]).equals(content));
  assert.is(memory.size, 2);
});

test('a host that names no node is refused', async () => {
  for (const [uri, message] of [
    [
      'nodelocal:///p',
      "22023 host component of nodelocal URI must be a node ID (use 'self' to specify each node should access its own local filesystem): nodelocal:///p",
    ],
    ['nodelocal://n1/p', '22023 host component of nodelocal URI must be a node ID: nodelocal://n1/p'],
    ['nodelocal://9/p', '22023 nodelocal URI names node 9, which does not exist'],
    ['nodelocal://1/p?AUTH=implicit', '22023 unknown nodelocal query parameters: AUTH'],
    ['nodelocal://1/../p', '22023 local file access to paths outside of external-io-dir is not allowed: ../p'],
    ['nodelocal://1/a/%2E%2E/%2E./p', '22023 local file access to paths outside of external-io-dir is not allowed: ../p'],
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
    () => storage.read('folder/missing'),
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

test('a folder that becomes a link while it is written to or read leads nowhere', async () => {
  const [base, outside] = [join(root, 'swapped'), join(root, 'swapped-outside')];
  await mkdir(join(outside, 'below'), { recursive: true });
  await writeFile(join(outside, 'f'), 'secret');
  const storage = open('nodelocal://1', base);
  await storage.write('folder/f', Buffer.from('mine'));

  // In the middle of a write: what was begun inside ends nowhere.
  async function* content() {
    yield Buffer.from('a');
    await rename(join(base, 'folder'), join(base, 'aside'));
    await symlink(outside, join(base, 'folder'));
    yield Buffer.from('b');
  }
  assert.match(await codeOf(() => storage.write('folder/new', content())), /^58030 cannot write "folder\/new"/);
  assert.equal((await readdir(outside)).sort(), ['below', 'f']);
  await rm(join(base, 'folder'));
  await rename(join(base, 'aside'), join(base, 'folder'));

  // At any moment: what is read and written is inside, or nothing, whatever stands there when the storage looks.
  await mkdir(join(base, 'inside'));
  await writeFile(join(base, 'inside', 'f'), 'mine');
  await rm(join(base, 'folder'), { recursive: true });
  await symlink(outside, join(base, 'folder'));
  let isOver = false;
  const swapping = (async () => {
    while (!isOver) {
      for (const target of [outside, join(base, 'inside')]) {
        await symlink(target, join(base, 'next'));
        await rename(join(base, 'next'), join(base, 'folder'));
      }
    }
  })();
  for (let i = 0; i < 100; i++) {
    const read = await storage.read('folder/f').then(String, (error: { code: string }) => error.code);
    assert.ok(['mine', '58P01', '42501'].includes(read), read);
    await storage.write(`folder/w${i % 3}`, Buffer.from('x')).catch(() => undefined);
  }
  isOver = true;
  await swapping;
  assert.equal((await readdir(outside)).sort(), ['below', 'f']);
});

test('what a killed process has left goes at the next start, and nothing that may still be written', async () => {
  const base = join(root, 'swept');
  await mkdir(join(base, 'a', 'b'), { recursive: true });
  const own = temporaryName();
  const [, machine] = /^\.varve-tmp-([0-9a-f]{8})/.exec(own) ?? [];
  const nowMicros = 1_800_000_000_000_000;
  const minutesAgo = async (name: string, minutes: number) => {
    await writeFile(join(base, name), 'x');
    await utimes(join(base, name), nowMicros / 1e6 - minutes * 60, nowMicros / 1e6 - minutes * 60);
  };
  const kept = {
    [`a/${own}`]: 100_000,
    [`a/.varve-tmp-${machine}-11-zz-1`]: 5,
    [`a/.varve-tmp-${machine}-22-zz-1`]: 100,
    'a/.varve-tmp-00000000-11-zz-1': 23 * 60,
    'a/backup-.varve-tmp-old': 100_000,
  };
  const stale = {
    [`a/b/.varve-tmp-${machine}-11-zz-2`]: 11,
    [`.varve-tmp-${machine}-${process.pid}-before-7`]: 11,
    'a/.varve-tmp-00000000-11-zz-2': 25 * 60,
    'a/.varve-tmp-4711-1': 25 * 60,
  };
  for (const [name, minutes] of Object.entries({ ...kept, ...stale })) await minutesAgo(name, minutes);
  // A link out of the directory is not followed.
  await mkdir(join(root, 'swept-outside'));
  await minutesAgo('../swept-outside/.varve-tmp-00000000-1-z-1', 100_000);
  await symlink(join(root, 'swept-outside'), join(base, 'link'));
  assert.is(await sweepTemporaries(base, { nowMicros, isAlive: (processId) => processId === 22 }), Object.keys(stale).length);
  assert.equal((await readdir(join(base, 'a'))).sort(), ['b', ...Object.keys(kept).map((name) => name.slice(2))].sort());
  assert.is((await readdir(join(root, 'swept-outside'))).length, 1);
  assert.is(await sweepTemporaries(join(base, 'nowhere'), { nowMicros }), 0);
});

test.after(() => rm(root, { recursive: true, force: true }));
test.run();
