/**
 * `varve backup list|show|verify|delete|expire URI`: what there is in a collection of backups, the proof that it can
 * bring back what was backed up, and letting old ones go; without a server.
 *
 * The statements of the same names run in a database that lives in this process and holds nothing. A URI without a
 * scheme is a directory here: the collection itself. Exit status 1 when anything is wrong.
 */
import { basename, dirname, resolve } from 'node:path';

import { quoteLiteral } from '../catalog/names.ts';
import { UsageError } from './cliError.ts';
import type { Command } from './command.ts';
import { openEmbeddedClient } from './embeddedClient.ts';
import { EXTERNAL_IO_DIR_FLAG, EXTERNAL_IO_RULE_FLAGS, externalIoDir, externalIoRuleOptions } from './externalIoFlags.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat } from './resultFormat.ts';

const FLAGS: FlagDefinitions = {
  backup: { type: 'string', value: 'NAME', help: 'the full backup, as list shows it (default the latest; delete wants one)' },
  'as-of': { type: 'string', value: 'TIME', help: 'verify: what a restore to this time needs (default every layer)' },
  'check-files': { type: 'boolean', help: 'show: fail unless every file is there' },
  schemas: { type: 'boolean', help: 'show: CREATE statements' },
  keep: {
    type: 'string',
    value: 'RULE',
    multiple: true,
    help: "expire: what stays, '7 days' or '4 fulls'; repeatable, each rule keeps its own",
  },
  preview: { type: 'boolean', help: 'delete, expire: only say what would be done' },
  force: { type: 'boolean', help: 'delete: also the newest backup of the collection' },
  ...EXTERNAL_IO_DIR_FLAG,
  ...EXTERNAL_IO_RULE_FLAGS,
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

interface Action {
  /** Flags beside those of every action: others are refused, so that none is given in vain. */
  readonly flags: readonly string[];
  readonly sql: (uri: string, flags: Flags) => string;
}

const COMMON_FLAGS: readonly string[] = ['format', ...Object.keys(EXTERNAL_IO_DIR_FLAG), ...Object.keys(EXTERNAL_IO_RULE_FLAGS)];
const KEY_FLAGS = ['encryption-passphrase', 'kms', 'incremental-location'] as const;

const ACTIONS: Readonly<Record<string, Action>> = {
  list: { flags: [], sql: (uri) => `SHOW BACKUPS IN ${quoteLiteral(uri)}` },
  show: { flags: ['backup', 'check-files', 'schemas', ...KEY_FLAGS], sql: showSql },
  verify: { flags: ['backup', 'as-of', ...KEY_FLAGS], sql: verifySql },
  delete: { flags: ['backup', 'preview', 'force', 'incremental-location'], sql: deleteSql },
  expire: { flags: ['keep', 'preview', 'incremental-location'], sql: expireSql },
};

export const backupCommand: Command = {
  name: 'backup',
  summary: 'list, show, verify, delete and expire backups, without a server',
  usage: `varve backup ${Object.keys(ACTIONS).join('|')} URI [flags]`,
  flags: FLAGS,
  async run(flags, io) {
    const [name = '', uri, extra] = flags.positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined) throw new UsageError(`unknown action "${name}": want ${Object.keys(ACTIONS).join(', ')}`);
    if (uri === undefined || extra !== undefined) throw new UsageError(`${name} wants one URI, or the directory of a collection`);
    refuseOtherFlags(name, action, flags);
    const format = flags.text('format') as ResultFormat;
    if (!RESULT_FORMATS.includes(format)) throw new UsageError(`invalid value "${format}" for --format: want ${RESULT_FORMATS.join(', ')}`);
    const place = placeOf(uri, externalIoDir(flags));
    const sql = action.sql(place.uri, flags);
    const options = { database: 'defaultdb', user: 'root', externalIoDir: place.externalIoDir, ...externalIoRuleOptions(flags) };
    const client = await openEmbeddedClient(options);
    try {
      io.out(formatResult(await client.run(sql), format));
      return 0;
    } finally {
      await client.close();
    }
  },
};

function refuseOtherFlags(name: string, action: Action, flags: Flags): void {
  const given = Object.keys(FLAGS).filter((flag) => flags.all(flag).length > 0);
  // A key in the environment is for whatever needs one.
  const other = given.find((flag) => ![...COMMON_FLAGS, 'encryption-passphrase', ...action.flags].includes(flag));
  if (other !== undefined) throw new UsageError(`--${other} means nothing to ${name}`);
}

function placeOf(uri: string, ioDir: string | undefined): { readonly uri: string; readonly externalIoDir: string | undefined } {
  if (uri.includes('://')) return { uri, externalIoDir: ioDir };
  const directory = resolve(uri);
  return { uri: `nodelocal://self/${encodeURIComponent(basename(directory))}`, externalIoDir: dirname(directory) };
}

function showSql(uri: string, flags: Flags): string {
  const view = flags.isSet('schemas') ? 'SCHEMAS ' : '';
  const options = [...(flags.isSet('check-files') ? ['check_files'] : []), ...keyOptions(flags)];
  return `SHOW BACKUP ${view}FROM ${backupOf(flags)} IN ${quoteLiteral(uri)}${withOptions(options)}`;
}

function verifySql(uri: string, flags: Flags): string {
  const asOf = flags.text('as-of');
  const time = asOf === undefined ? '' : ` AS OF SYSTEM TIME ${quoteLiteral(asOf)}`;
  return `VERIFY BACKUP FROM ${backupOf(flags)} IN ${quoteLiteral(uri)}${time}${withOptions(keyOptions(flags))}`;
}

function deleteSql(uri: string, flags: Flags): string {
  const backup = flags.text('backup');
  if (backup === undefined) throw new UsageError('delete wants --backup', 'list shows their names; --preview says what would go');
  const options = [...switches(flags, 'preview', 'force'), ...optionText('incremental_location', flags.text('incremental-location'))];
  return `DELETE BACKUP ${quoteLiteral(backup)} IN ${quoteLiteral(uri)}${withOptions(options)}`;
}

function expireSql(uri: string, flags: Flags): string {
  const rules = flags.all('keep').map((rule) => {
    const count = /^\s*(\d+)\s*fulls?\s*$/i.exec(rule)?.[1];
    return count === undefined ? `KEEP ${quoteLiteral(rule)}` : `KEEP ${count} FULLS`;
  });
  if (rules.length === 0)
    throw new UsageError('expire wants --keep', "such as --keep '7 days' --keep '4 fulls'; --preview says what would go");
  const options = [...switches(flags, 'preview'), ...optionText('incremental_location', flags.text('incremental-location'))];
  return `EXPIRE BACKUPS IN ${quoteLiteral(uri)} ${rules.join(', ')}${withOptions(options)}`;
}

function backupOf(flags: Flags): string {
  const backup = flags.text('backup');
  return backup === undefined ? 'LATEST' : quoteLiteral(backup);
}

function switches(flags: Flags, ...names: readonly string[]): string[] {
  return names.filter((name) => flags.isSet(name));
}

function keyOptions(flags: Flags): string[] {
  const kms = flags.all('kms').map(quoteLiteral);
  return [
    ...optionText('encryption_passphrase', flags.text('encryption-passphrase')),
    ...(kms.length > 0 ? [`kms = (${kms.join(', ')})`] : []),
    ...optionText('incremental_location', flags.text('incremental-location')),
  ];
}

function withOptions(options: readonly string[]): string {
  return options.length > 0 ? ` WITH ${options.join(', ')}` : '';
}

function optionText(name: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${name} = ${quoteLiteral(value)}`];
}
