/** What the program says when it cannot do what it is told: in this process, with captured output. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { errorReport } from '../../src/cli/cliError.ts';
import { commandLine as varve } from '../support/commandLine.ts';

const test = suite('what the command line says of failures');

const FREE = ['--listen-addr', '127.0.0.1:0', '--http-addr', '127.0.0.1:0', '--external-io-dir', 'disabled'];

test('a URL that cannot be is refused without repeating it', async () => {
  for (const [url, expected] of [
    ['not a url s3cret', '--url is not a URL'],
    ['mysql://u:s3cret@localhost/x', 'the scheme "mysql" is not postgresql'],
    ['postgres://u:s3cret%zz@localhost/x', 'not percent-encoded correctly'],
    ['postgres://u:s3cret@localhost:99999/x', '--url is not a URL'],
  ] as const) {
    for (const command of [
      ['sql', '-e', 'SELECT 1'],
      ['userfile', 'list'],
      ['workload', 'init', 'bank'],
    ]) {
      const { status, err } = await varve(...command, '--url', url);
      assert.is(status, 1);
      assert.match(err, expected);
      assert.not.match(err, 's3cret');
    }
  }
});

test('a server that is down is said to be, without its password', async () => {
  const { status, err } = await varve('sql', '--url', 'postgres://root:s3cret@127.0.0.1:1/defaultdb', '-e', 'SELECT 1');
  assert.is(status, 1);
  assert.match(err, 'ECONNREFUSED');
  assert.match(err, 'HINT: is the server running?');
  assert.not.match(err, 's3cret');
});

test('of several addresses that failed, one speaks', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { code: 'ECONNREFUSED' });
  assert.is(errorReport(new AggregateError([refused])), 'ERROR: connect ECONNREFUSED ::1:1');
});

test('a server that cannot start leaves nothing running, and names the flag', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  for (const [flags, expected] of [
    [['--listen-addr', address, '--http-addr', '127.0.0.1:0'], '--listen-addr'],
    [['--listen-addr', '127.0.0.1:0', '--http-addr', address], '--http-addr'],
    [[...FREE, '--listening-url-file', '/nonexisting/folder/url'], 'cannot write --listening-url-file'],
    [[...FREE, '--locality', 'nonsense'], 'key=value'],
    [[...FREE, '--nodes', '1', '--locality', 'a=b', '--locality', 'a=c'], '2 localities for 1 node'],
    [[...FREE, '--clock-start', '2026-11-20T00:00:00Z'], '--clock-start needs --clock manual'],
    [[...FREE, '--clock', 'manual', '--clock-start', 'yesterday'], '2026-11-20T12:00:00Z'],
    [['--listen-addr', '::1'], '[::1]'],
  ] as const) {
    const { status, err } = await varve('start', ...flags);
    assert.is(status, 1);
    assert.match(err, expected);
  }
  taken.close();
  assert.is(process.listenerCount('SIGTERM'), 0);
});

test('a hint is given once', async () => {
  const { err } = await varve('start', '--listen-addr', '0.0.0.0:1');
  assert.is(err.split('varve cert').length, 2);
});

test('sql: options, files and databases that are not there', async () => {
  for (const [argv, expected] of [
    [['--set', 'nonsense=1', '-e', 'SELECT 1'], 'unknown option "nonsense"'],
    [['--set', 'errexit=maybe', '-e', 'SELECT 1'], 'wants true or false'],
    [['-f', '/nonexisting.sql'], 'cannot read /nonexisting.sql'],
    [['-d', 'nowhere', '-e', 'SELECT 1'], 'database "nowhere" does not exist'],
    [['--external-io-dir', 'disabled', '-e', "BACKUP DATABASE defaultdb INTO 'nodelocal://1/x'"], 'local file access is disabled'],
    [['--bogus'], "unknown option '--bogus'"],
  ] as const) {
    const { status, err } = await varve('sql', ...argv);
    assert.is(status, 1);
    assert.match(err, expected);
  }
});

test('sql goes on after errors when told to, and fails in the end', async () => {
  const { status, out, err } = await varve('sql', '--set', 'errexit=false', '-e', 'SELECT 1/0; SELECT 2 AS two');
  assert.is(status, 1);
  assert.is(out, 'two\n2\n');
  assert.match(err, 'division by zero');
});

test('help of a command, in both orders', async () => {
  assert.equal(await varve('help', 'sql'), await varve('sql', '--help'));
});

test.run();
