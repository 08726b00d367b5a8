/** `varve backup`: listed, shown, verified, deleted and expired without a server; a damaged one; and what it says of wrong arguments. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Database } from '../../src/server/database.ts';
import { commandLine as varve } from '../support/commandLine.ts';

const test = suite('varve backup');

async function withCollection(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-verify-'));
  try {
    const db = await Database.open({ externalIoDir: folder });
    const session = db.newSession();
    await session.execute('CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b STRING); INSERT INTO d.t VALUES (1, $$one$$)');
    await session.execute("BACKUP DATABASE d INTO 'nodelocal://1/my backups'");
    await session.execute('UPDATE d.t SET b = $$eins$$');
    await session.execute("BACKUP DATABASE d INTO LATEST IN 'nodelocal://1/my backups'");
    await db.close();
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a collection is verified by its URI and by its directory', () =>
  withCollection(async (folder) => {
    const byUri = await varve('backup', 'verify', 'nodelocal://1/my backups', '--external-io-dir', folder, '--format', 'csv');
    assert.is(byUri.status, 0, byUri.err);
    const lines = byUri.out.trim().split('\n');
    assert.is(lines.length, 3);
    for (const line of lines.slice(1)) assert.match(line, /,d\.public\.t,1,0,\d+,1,[0-9a-f]{32},ok$/);
    assert.equal(await varve('backup', 'verify', join(folder, 'my backups'), '--format', 'csv'), byUri);
  }));

test('a damaged file is named, and the status is 1', () =>
  withCollection(async (folder) => {
    const files = await readdir(folder, { recursive: true });
    const name = files.find((file) => file.endsWith('.vkv') && !file.includes('incrementals')) as string;
    const content = await readFile(join(folder, name));
    content[content.length >> 1] = (content[content.length >> 1] as number) ^ 1;
    await writeFile(join(folder, name), content);
    const { status, out, err } = await varve('backup', 'verify', join(folder, 'my backups'));
    assert.is(status, 1);
    assert.is(out, '');
    assert.match(err, name.slice(name.indexOf('/') + 1));
    assert.match(err, 'SQLSTATE: XX001');
  }));

test('what there is shows, and what is old goes when it is asked for, not in a preview', () =>
  withCollection(async (folder) => {
    const collection = join(folder, 'my backups');
    const backup = async (...args: string[]) => {
      const { status, out, err } = await varve('backup', ...args, '--format', 'csv');
      assert.is(status, 0, err);
      return out.trim().split('\n').slice(1);
    };
    const db = await Database.open({ externalIoDir: folder });
    await db.newSession().execute("CREATE DATABASE d; BACKUP DATABASE d INTO 'nodelocal://1/my backups'");
    await db.close();
    const [first = '', second = '', ...others] = await backup('list', collection);
    assert.equal(others, []);
    assert.equal(await backup('list', 'nodelocal://self/my backups', '--external-io-dir', folder), [first, second]);
    assert.is((await backup('show', collection, '--backup', first)).filter((row) => row.includes(',t,table,')).length, 2);
    assert.match((await backup('show', collection, '--backup', first, '--schemas', '--check-files')).join(), 'CREATE TABLE');

    assert.match((await backup('expire', collection, '--keep', '1 fulls', '--preview')).join('\n'), 'delete');
    assert.is((await backup('delete', collection, '--backup', first, '--preview')).length, 1);
    assert.equal(await backup('list', collection), [first, second]);
    await backup('expire', collection, '--keep', '1 fulls', '--keep', '1 microsecond');
    assert.equal(await backup('list', collection), [second]);
    assert.match((await varve('backup', 'delete', collection, '--backup', second)).err, 'force');
    await backup('delete', collection, '--backup', second, '--force');
    assert.equal(await backup('list', collection), []);
  }));

test('what it is not told, or cannot find, it says', async () => {
  assert.match((await varve('backup', 'restore', 'x')).err, 'unknown action "restore": want list, show, verify, delete, expire');
  assert.match((await varve('backup', 'verify')).err, 'verify wants one URI');
  assert.match((await varve('backup', 'delete', 'x')).err, 'delete wants --backup');
  assert.match((await varve('backup', 'expire', 'x')).err, 'expire wants --keep');
  assert.match((await varve('backup', 'list', 'x', '--keep', '1 fulls')).err, '--keep means nothing to list');
  assert.match((await varve('backup', 'list', 's3://b/x?AWS_SECRET_ACCESS_KEY=canary&NO=1')).err, 'unknown S3 query parameters: NO');
  const empty = await varve('backup', 'verify', join(tmpdir(), 'there-is-no-such-collection'));
  assert.is(empty.status, 1);
  assert.match(empty.err, 'SQLSTATE: 58P01');
});

test.run();
