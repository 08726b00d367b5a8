/** What region functions ask of the session's node, its catalog and the zones. */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { regionOf, regionsOf } from '../../catalog/regions.ts';
import { modifiedField, writeRegionZones, writeTableZones } from '../../catalog/regionZones.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import type { RegionOperations } from '../expr/evalContext.ts';
import type { StatementContext } from './statement.ts';

/** `snapshotNow`: the statement's own look at the catalog. */
export function regionOperations(context: StatementContext, snapshotNow: () => CatalogSnapshot): RegionOperations {
  const { cluster } = context.engine.kv;
  return {
    gateway: () => regionOf(cluster.node(context.session.nodeId).locality),
    ofDatabase: (name) => {
      const snapshot = snapshotNow();
      return regionsOf(snapshot.requireDatabase(name), snapshot);
    },
    async validateZones() {
      const snapshot = await context.catalog();
      const database = snapshot.requireDatabase(context.names.currentDatabase);
      const found = database.regions && (await modifiedField(context.txn, snapshot, database));
      if (!found) return;
      throw new StatementError(
        SqlState.InvalidObjectDefinition,
        `zone configuration for ${found.what} contains incorrectly configured field "${found.variable}"`,
        { detail: `expected ${found.expected}, found ${found.actual}` },
      );
    },
    async resetZones(of, id) {
      const snapshot = await context.catalog();
      const database = of === 'database' ? snapshot.databaseById(id) : undefined;
      const table = of === 'table' ? snapshot.tableById(id) : undefined;
      if (!database && !table) throw new StatementError(SqlState.UndefinedObject, `there is no ${of} with the id ${id}`);
      if (database?.regions) await writeRegionZones(context.txn, snapshot, database);
      if (table && snapshot.databaseById(table.parentId)?.regions) await writeTableZones(context.txn, snapshot, [table]);
    },
  };
}
