/** Functions about regions: where the session's node is, where a row goes, and the zones that follow from them. */
import { utf8Decode, utf8Encode, type Bytes as ByteString } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { Bool, contextual, Int8, Text } from '../define.ts';
import type { EvalContext } from '../evalContext.ts';
import type { Overload } from '../overload.ts';

function gateway(ctx: EvalContext): string {
  const region = ctx.regions.gateway();
  if (region !== undefined) return region;
  throw new StatementError(SqlState.ConfigFileError, 'no region set on the locality flag on this node');
}

/** The region if the current database has it, else the database's primary one. */
function ofDatabase(ctx: EvalContext, region: string): string {
  const { database } = ctx.session;
  const regions = ctx.regions.ofDatabase(database);
  if (!regions) {
    throw new StatementError(SqlState.InvalidDatabaseDefinition, `current database ${database} is not multi-region enabled`);
  }
  return regions.names.includes(region) ? region : regions.primaryRegion;
}

function resetZones(name: string, of: 'table' | 'database'): Overload {
  return {
    name,
    params: [Int8],
    returns: Bool,
    volatility: 'volatile',
    asyncFn: async (ctx, id) => {
      await ctx.regions.resetZones(of, Number(id));
      return true;
    },
  };
}

export const regionFunctions: readonly Overload[] = [
  contextual('gateway_region', [], Text, 'stable', (ctx) => utf8Encode(gateway(ctx))),
  contextual('default_to_database_primary_region', [Text], Text, 'stable', (ctx, region) =>
    utf8Encode(ofDatabase(ctx, utf8Decode(region as ByteString))),
  ),
  contextual('rehome_row', [], Text, 'stable', (ctx) => utf8Encode(ofDatabase(ctx, gateway(ctx)))),
  {
    name: 'crdb_internal.validate_multi_region_zone_configs',
    params: [],
    returns: Bool,
    volatility: 'volatile',
    asyncFn: async (ctx) => {
      await ctx.regions.validateZones();
      return true;
    },
  },
  resetZones('crdb_internal.reset_multi_region_zone_configs_for_table', 'table'),
  resetZones('crdb_internal.reset_multi_region_zone_configs_for_database', 'database'),
];
