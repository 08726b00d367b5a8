/**
 * pg_advisory_lock and its kin: [try_] x [xact_] x [_shared], each for one BIGINT and for two INTs.
 * Source: PostgreSQL documentation, "Advisory Lock Functions".
 */
import { asBytes } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import { contextual } from '../define.ts';
import type { AdvisoryKey } from '../evalContext.ts';
import type { Overload } from '../overload.ts';

const KEYS: readonly (readonly ColumnType[])[] = [[Type.Int8], [Type.Int4, Type.Int4]];

/** What a function gives that gives nothing. */
const VOID = asBytes('');

const keyOf = (args: readonly Datum[]): AdvisoryKey => args as (number | bigint)[];

function lockFunctions(): Overload[] {
  const functions: Overload[] = [];
  for (const params of KEYS) {
    for (const strength of ['exclusive', 'shared'] as const) {
      const suffix = strength === 'shared' ? '_shared' : '';
      for (const wait of [true, false]) {
        for (const scope of ['session', 'transaction'] as const) {
          functions.push({
            name: `pg_${wait ? '' : 'try_'}advisory_${scope === 'transaction' ? 'xact_' : ''}lock${suffix}`,
            params,
            returns: wait ? Type.Void : Type.Bool,
            volatility: 'volatile',
            asyncFn: async (ctx, ...args) => {
              const isTaken = await ctx.advisoryLocks.lock({ key: keyOf(args), strength, scope, wait });
              return wait ? VOID : isTaken;
            },
          });
        }
      }
      functions.push(
        contextual(`pg_advisory_unlock${suffix}`, params, Type.Bool, 'volatile', (ctx, ...args) => {
          const isFree = ctx.advisoryLocks.unlock(keyOf(args as Datum[]), strength);
          if (!isFree) ctx.notice(`you don't own a lock of type ${strength === 'shared' ? 'ShareLock' : 'ExclusiveLock'}`);
          return isFree;
        }),
      );
    }
  }
  return functions;
}

export const advisoryFunctions: readonly Overload[] = [
  ...lockFunctions(),
  contextual('pg_advisory_unlock_all', [], Type.Void, 'volatile', (ctx) => {
    ctx.advisoryLocks.unlockAll();
    return VOID;
  }),
];
