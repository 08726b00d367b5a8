/**
 * Isolation levels: the names that statements and variables use, and which level they give.
 *
 * The levels are three: SERIALIZABLE, REPEATABLE READ (also called SNAPSHOT) and READ COMMITTED (also
 * READ UNCOMMITTED). A level that its cluster setting turns off becomes the next stronger one that is
 * on, silently, as in CockroachDB; SERIALIZABLE always is.
 */
import type { ClusterSettings } from '../../catalog/settings.ts';
import type { Isolation } from '../../kv/kv.ts';

const LEVELS: Readonly<Record<string, Isolation>> = {
  serializable: 'serializable',
  default: 'serializable',
  snapshot: 'snapshot',
  'repeatable read': 'snapshot',
  repeatableRead: 'snapshot',
  'read committed': 'read committed',
  readCommitted: 'read committed',
  'read uncommitted': 'read committed',
  readUncommitted: 'read committed',
};

/** The level of a name as written or parsed; undefined for no level's name. */
export function isolationNamed(name: string): Isolation | undefined {
  return LEVELS[name] ?? LEVELS[name.toLowerCase().replaceAll(/[_\s]+/g, ' ')];
}

/** How SHOW prints a level. */
export function isolationText(level: Isolation): string {
  return level === 'snapshot' ? 'repeatable read' : level;
}

/** The level that is given when `asked` is asked for. */
export function grantedIsolation(asked: Isolation, settings: ClusterSettings): Isolation {
  const isOn = (name: string) => settings.get(`sql.txn.${name}_isolation.enabled`) === true;
  if (asked === 'read committed' && isOn('read_committed')) return asked;
  if (asked !== 'serializable' && (isOn('repeatable_read') || isOn('snapshot'))) return 'snapshot';
  return 'serializable';
}
