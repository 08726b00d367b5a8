/**
 * The start-up message's parameters as session options: user, database, `options=-c name=value`,
 * and variables given by name.
 */
import { VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { SessionOptions } from '../../sql/exec/session.ts';

const DEFAULT_DATABASE = 'defaultdb';
/** Parameters that are no session variables. */
const CONNECTION_PARAMETERS: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication']);

/** Throws 08P01 without a user, 0A000 for replication, 22023 for options that cannot be read. */
export function startupSession(parameters: ReadonlyMap<string, string>): SessionOptions {
  const user = parameters.get('user');
  if (!user) throw new VarveError(SqlState.ProtocolViolation, 'no user name specified in the startup packet');
  const replication = parameters.get('replication');
  if (replication !== undefined && !['false', 'off', 'no', '0'].includes(replication)) {
    throw new VarveError(SqlState.FeatureNotSupported, 'replication connections are not supported');
  }
  const variables: Record<string, string> = {};
  for (const [name, value] of parameters) {
    // Names that begin with _pq_. are protocol extensions, which a server may ignore.
    if (!CONNECTION_PARAMETERS.has(name) && !name.startsWith('_pq_.')) variables[name.toLowerCase()] = value;
  }
  for (const [name, value] of parseOptions(parameters.get('options') ?? '')) variables[name] = value;
  return { user: user.toLowerCase(), database: parameters.get('database') || DEFAULT_DATABASE, variables };
}

/** `-c name=value`, `-cname=value` and `--name=value`; a backslash keeps the next character, a space too. */
function parseOptions(text: string): [string, string][] {
  const words = (text.match(/(?:\\.|[^\s\\])+/gs) ?? []).map((word) => word.replaceAll(/\\(.)/gs, '$1'));
  const settings: [string, string][] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const setting = word === '-c' ? words[++at] : word.startsWith('-c') ? word.slice(2) : word.startsWith('--') ? word.slice(2) : undefined;
    const match = /^([^=]+)=(.*)$/s.exec(setting ?? '');
    if (!match)
      throw new VarveError(SqlState.InvalidParameterValue, `cannot read startup option "${word}"`, {
        hint: 'write options as -c name=value',
      });
    settings.push([(match[1] as string).toLowerCase().replaceAll('-', '_'), match[2] as string]);
  }
  return settings;
}
