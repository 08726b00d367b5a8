/**
 * Names for the oids in a result: how REGCLASS and its kin look to a client.
 *
 * A row holds the number; the name is looked up when the row is printed, in the newest catalog, and
 * only once a result has such a column.
 */
import type { ColumnType } from '../../catalog/type.ts';
import { nameOfOid } from '../expr/castFunction.ts';
import { SnapshotLookup } from './catalogLookup.ts';
import type { SessionState } from './statement.ts';

/** For TextContext.oidName; made anew for each result, so that it sees what the statements before it did. */
export function oidNamer(session: Pick<SessionState, 'engine' | 'names'>): (type: ColumnType, oid: number) => string {
  const { engine, names } = session;
  let lookup: SnapshotLookup | undefined;
  return (type, oid) => {
    if (!lookup) {
      const snapshot = engine.catalog.currentNow();
      if (!snapshot) return String(oid);
      lookup = new SnapshotLookup(snapshot, names, engine.virtualTables);
    }
    return nameOfOid(type, oid, lookup);
  };
}

/** The user type, or the array of one, that a client names by its oid; undefined when there is none. */
export function userTypeOfOid({ engine, names }: Pick<SessionState, 'engine' | 'names'>, oid: number): ColumnType | undefined {
  const snapshot = engine.catalog.currentNow();
  return snapshot && new SnapshotLookup(snapshot, names, engine.virtualTables).userType(oid)?.type;
}
