/** Files to a server by COPY: `varve nodelocal upload`, `varve userfile upload`, and what COPY itself refuses. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { connectWire } from '../../src/cli/wireClient.ts';
import { Database } from '../../src/server/database.ts';
import { startPgServer } from '../../src/server/pgwire/pgServer.ts';
import { commandLine as varve } from '../support/commandLine.ts';

const folder = await mkdtemp(join(tmpdir(), 'varve-uploads-'));
const io = join(folder, 'extern');
const db = await Database.open({ externalIoDir: io });
const server = await startPgServer(db, { host: '127.0.0.1', port: 0 });
const url = `postgresql://root@127.0.0.1:${server.port}/defaultdb?sslmode=disable`;
// More than a chunk of a userfile, than a piece of COPY and than a piece that is got, with everything that COPY's text form escapes.
const content = Buffer.from(Array.from({ length: 4_300_000 }, (_, i) => (i * 7) & 255));
await writeFile(join(folder, 'data.bin'), content);
await mkdir(join(folder, 'tree', 'sub'), { recursive: true });
await writeFile(join(folder, 'tree', 'a'), 'a');
await writeFile(join(folder, 'tree', 'sub', '100%?.txt'), '');

const test = suite('uploads');

test('nodelocal: a file and a directory arrive as they are, and nothing is overwritten', async () => {
  const upload = async (...args: string[]) => await varve('nodelocal', 'upload', ...args, '--url', url);
  assert.is((await upload(join(folder, 'data.bin'), '/in/data.bin')).out, 'successfully uploaded to nodelocal://1/in/data.bin\n');
  assert.equal(await readFile(join(io, 'in', 'data.bin')), content);
  assert.match((await upload(join(folder, 'tree', 'a'), 'in/data.bin')).err, 'ERROR: destination file already exists for /in/data.bin');
  assert.equal(await readFile(join(io, 'in', 'data.bin')), content);
  assert.is(
    (await upload(join(folder, 'tree'), 'in', '--recursive')).out,
    'uploading: a\nsuccessfully uploaded to nodelocal://1/in/tree/a\nuploading: sub/100%?.txt\nsuccessfully uploaded to nodelocal://1/in/tree/sub/100%?.txt\n',
  );
  assert.equal((await readdir(io, { recursive: true })).sort(), [
    'in', 'in/data.bin', 'in/tree', 'in/tree/a', 'in/tree/sub', 'in/tree/sub/100%?.txt',
  ]); // biome-ignore format: one line
  assert.match((await upload(join(folder, 'tree'), 'x')).err, 'is a directory');
  assert.match((await upload(join(folder, 'nothing'), 'x')).err, 'ENOENT');
  assert.match(
    (await upload(join(folder, 'data.bin'), '../../x')).err,
    'local file access to paths outside of external-io-dir is not allowed',
  );
  assert.match((await varve('nodelocal', 'delete', 'x')).err, 'unknown action "delete": want upload');
});

test('nodelocal: for admins, and whoever may use the server’s files', async () => {
  const root = db.newSession();
  await root.execute('CREATE USER ann');
  const upload = async () => await varve('nodelocal', 'upload', join(folder, 'tree', 'a'), 'anns', '--url', url, '--user', 'ann');
  assert.match((await upload()).err, 'EXTERNALIOIMPLICITACCESS');
  await root.execute('GRANT SYSTEM EXTERNALIOIMPLICITACCESS TO ann');
  assert.is((await upload()).status, 0);
});

test('userfile: round trip, also of names that URIs have to escape', async () => {
  const userfile = async (...args: string[]) => await varve('userfile', ...args, '--url', url);
  assert.is(
    (await userfile('upload', join(folder, 'data.bin'))).out,
    'successfully uploaded to userfile://defaultdb.public.userfiles_root/data.bin\n',
  );
  assert.match((await userfile('upload', join(folder, 'data.bin'))).err, 'destination file already exists for /data.bin');
  assert.is((await userfile('upload', `${join(folder, 'tree')}/`, 'up', '-r')).status, 0);
  assert.is(
    (await userfile('list', 'up')).out,
    'userfile://defaultdb.public.userfiles_root/up/a\nuserfile://defaultdb.public.userfiles_root/up/sub/100%25%3F.txt\n',
  );
  assert.is((await userfile('get', '*', join(folder, 'got'))).status, 0);
  assert.equal(await readFile(join(folder, 'got', 'data.bin')), content);
  assert.is(await readFile(join(folder, 'got', 'up', 'sub', '100%?.txt'), 'utf8'), '');
  assert.match((await userfile('upload', join(folder, 'data.bin'), 'a/../b')).err, 'is not normalised');
  assert.is((await userfile('delete', 'up')).out.split('\n').length, 3);
  assert.is((await userfile('delete', '*')).status, 0);
  assert.is((await userfile('list')).out, '');
});

test('COPY says what an upload lacks, and a broken one leaves nothing', async () => {
  const client = await connectWire(url);
  const failure = async (sql: string, rows: AsyncIterable<Buffer>): Promise<string> =>
    await client.copyIn(sql, rows).then(
      () => '',
      (error: Error) => error.message,
    );
  async function* rows(...pieces: string[]) {
    for (const piece of pieces) yield Buffer.from(piece);
  }
  const copy = (rest: string) => `COPY crdb_internal.user_file_upload FROM STDIN ${rest}`;
  assert.match(await failure(copy(''), rows()), "wants WITH destination = 'uri'");
  assert.match(await failure(copy("WITH destination = 'nodelocal://1/x'"), rows()), 'must be a userfile:// URI');
  assert.match(await failure(copy("WITH destination = 'userfile:///'"), rows()), 'names a file');
  assert.is(await failure(copy("WITH destination = 'userfile:///f'"), rows('a\n', 'two\tfields\n')), 'expected one column of bytes');
  // biome-ignore lint/correctness/useYield: it ends before its first piece
  const broken = async function* (): AsyncGenerator<Buffer> {
    throw new Error('the disk is gone');
  };
  assert.is(await failure(copy("WITH destination = 'userfile:///g'"), broken()), 'the disk is gone');
  const files = await client.run('SELECT filename FROM defaultdb.public.userfiles_root_upload_files');
  assert.equal(files.rows, []);
  await client.close();
});

test.after(async () => {
  await server.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

test.run();
