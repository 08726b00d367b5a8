/**
 * `varve backup verify URI`: the proof that a backup can bring back what was backed up, without a server.
 *
 * VERIFY BACKUP runs in a database that lives in this process and holds nothing. A URI without a scheme is a
 * directory here: the collection itself. Exit status 1 when anything is wrong.
 */
import { basename, dirname, resolve } from 'node:path';

import { quoteLiteral } from '../catalog/names.ts';
import { UsageError } from './cliError.ts';
import type { Command } from './command.ts';
import { openEmbeddedClient } from './embeddedClient.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat } from './resultFormat.ts';

const FLAGS: FlagDefinitions = {
  backup: { type: 'string', value: 'NAME', help: 'the full backup, as SHOW BACKUPS lists it (default the latest)' },
  'as-of': { type: 'string', value: 'TIME', help: 'verify what a restore to this time needs (default every layer)' },
  'external-io-dir': { type: 'string', value: 'DIR', default: 'extern', help: 'directory of nodelocal:// files' },
  'encryption-passphrase': {
    type: 'string',
    value: 'TEXT',
    env: 'VARVE_ENCRYPTION_PASSPHRASE',
    help: 'of a backup that is encrypted with one; the environment does not show in lists of processes',
  },
  kms: { type: 'string', value: 'URI', multiple: true, help: 'KMS key of an encrypted backup; repeatable' },
  'incremental-location': { type: 'string', value: 'URI', help: 'where incremental layers lie, if apart' },
  format: { type: 'string', value: 'FORMAT', default: 'table', help: `${RESULT_FORMATS.join(', ')}` },
};

export const backupCommand: Command = {
  name: 'backup',
  summary: 'verify a backup, without a server',
  usage: 'varve backup verify URI [flags]',
  flags: FLAGS,
  async run(flags, io) {
    const [action, uri, extra] = flags.positionals;
    if (action !== 'verify') throw new UsageError(`unknown action "${action ?? ''}": want verify`);
    if (uri === undefined || extra !== undefined) throw new UsageError('verify wants one URI, or the directory of a collection');
    const format = flags.text('format') as ResultFormat;
    if (!RESULT_FORMATS.includes(format)) throw new UsageError(`invalid value "${format}" for --format: want ${RESULT_FORMATS.join(', ')}`);
    const place = placeOf(uri, flags.text('external-io-dir') ?? 'extern');
    const client = await openEmbeddedClient({ database: 'defaultdb', user: 'root', externalIoDir: place.externalIoDir });
    try {
      io.out(formatResult(await client.run(verifySql(place.uri, flags)), format));
      return 0;
    } finally {
      await client.close();
    }
  },
};

function placeOf(uri: string, externalIoDir: string): { readonly uri: string; readonly externalIoDir: string } {
  if (uri.includes('://')) return { uri, externalIoDir: resolve(externalIoDir) };
  const directory = resolve(uri);
  return { uri: `nodelocal://self/${encodeURIComponent(basename(directory))}`, externalIoDir: dirname(directory) };
}

function verifySql(uri: string, flags: Flags): string {
  const backup = flags.text('backup');
  const asOf = flags.text('as-of');
  const kms = flags.all('kms').map(quoteLiteral);
  const options = [
    ...optionText('encryption_passphrase', flags.text('encryption-passphrase')),
    ...(kms.length > 0 ? [`kms = (${kms.join(', ')})`] : []),
    ...optionText('incremental_location', flags.text('incremental-location')),
  ];
  return [
    `VERIFY BACKUP FROM ${backup === undefined ? 'LATEST' : quoteLiteral(backup)} IN ${quoteLiteral(uri)}`,
    ...(asOf === undefined ? [] : [`AS OF SYSTEM TIME ${quoteLiteral(asOf)}`]),
    ...(options.length > 0 ? [`WITH ${options.join(', ')}`] : []),
  ].join(' ');
}

function optionText(name: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${name} = ${quoteLiteral(value)}`];
}
