/**
 * The flags --external-io-*: what a database that a command opens lets its users reach. One list for every such command.
 */
import { resolve } from 'node:path';

import type { DatabaseOptions } from '../server/openOptions.ts';
import type { FlagDefinitions, Flags } from './flags.ts';

/** Of what the rules are made, without the directory. */
export const EXTERNAL_IO_RULE_FLAGS: FlagDefinitions = {
  'external-io-disable-http': { type: 'boolean', help: 'refuse http:// and https:// locations, and custom endpoints of clouds' },
  'external-io-disable-implicit-credentials': { type: 'boolean', help: "refuse AUTH=implicit: this machine's own credentials" },
  'external-io-disabled': { type: 'boolean', help: 'refuse every location outside the process: all but userfile://' },
  'external-io-enable-non-admin-implicit-access': {
    type: 'boolean',
    help: "let users who are no admins use this machine's files, credentials and network",
  },
};

export const EXTERNAL_IO_DIR_FLAG: FlagDefinitions = {
  'external-io-dir': { type: 'string', value: 'DIR', default: 'extern', help: 'directory of nodelocal:// files, or "disabled"' },
};

export type ExternalIoRuleOptions = Pick<
  DatabaseOptions,
  'disableExternalHttp' | 'disableImplicitCredentials' | 'disableExternalIo' | 'allowNonAdminImplicitAccess'
>;

export function externalIoRuleOptions(flags: Flags): ExternalIoRuleOptions {
  return {
    disableExternalHttp: flags.isSet('external-io-disable-http'),
    disableImplicitCredentials: flags.isSet('external-io-disable-implicit-credentials'),
    disableExternalIo: flags.isSet('external-io-disabled'),
    allowNonAdminImplicitAccess: flags.isSet('external-io-enable-non-admin-implicit-access'),
  };
}

/** The directory, absolute; undefined when it is "disabled". */
export function externalIoDir(flags: Flags): string | undefined {
  const directory = flags.text('external-io-dir') ?? 'extern';
  return directory === 'disabled' ? undefined : resolve(directory);
}
