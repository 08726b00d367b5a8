/**
 * Forks in SQL, so that any Postgres client can have one:
 *
 *   varve_internal.create_fork([name [, of]])  a fork of this session's database, or of the fork `of`; its name
 *   varve_internal.drop_fork(name)             ends its sessions and frees it; whether there was one
 *   varve_internal.current_fork()              where this session is; `main` in no fork
 *   varve_internal.forks                       a row a fork
 *
 * Making and dropping are for admins and act at once, outside the transaction: a fork holds what was
 * committed, not what the caller has yet to commit.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import { parseUuid } from '../catalog/datumText.ts';
import { isAdmin } from '../catalog/privileges.ts';
import { timestampToDecimal } from '../catalog/protectedRecords.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import type { EvalContext } from '../sql/expr/evalContext.ts';
import type { Overload } from '../sql/expr/overload.ts';
import { type Forkable, type Forks, MAIN } from './forks.ts';

export function registerForkFunctions<D extends Forkable<D>>(database: D & { readonly forks: Forks<D> }): void {
  const { engine, forks } = database;
  const text = (datum: Datum | undefined): string => utf8Decode(datum as Bytes);
  const requireAdmin = async (ctx: EvalContext, name: string): Promise<void> => {
    if (isAdmin(await rolesOf(engine.kv.at(engine.kv.reading()), ctx.session.user))) return;
    throw new StatementError(SqlState.InsufficientPrivilege, `only users with the admin role are allowed to use ${name}()`);
  };
  const volatile = (name: string, params: readonly ColumnType[], returns: ColumnType, run: Overload['asyncFn']): Overload => ({
    name: `varve_internal.${name}`,
    params,
    returns,
    volatility: 'volatile',
    ...(run && { asyncFn: run }),
  });
  const create = async (ctx: EvalContext, name?: Datum, of?: Datum): Promise<Datum> => {
    await requireAdmin(ctx, 'create_fork');
    const parent = of === undefined ? database : forks.require(text(of));
    const fork = await forks.create({ of: parent, createdBy: ctx.session.user, ...(name !== undefined && { name: text(name) }) });
    return utf8Encode(fork.name);
  };
  const drop = async (ctx: EvalContext, name?: Datum): Promise<Datum> => {
    await requireAdmin(ctx, 'drop_fork');
    const target = forks.find(text(name));
    if (target !== undefined && (target === database || text(name) === MAIN)) {
      throw new StateError(
        SqlState.ObjectInUse,
        `cannot drop ${text(name) === MAIN ? 'the main database' : 'the fork that this session is in'}`,
        {
          hint: target === database && text(name) !== MAIN ? 'drop it from a session elsewhere, such as one in its parent' : undefined,
        },
      );
    }
    return await forks.drop(text(name));
  };
  engine.functions.register(
    volatile('create_fork', [], Type.String, (ctx) => create(ctx)),
    volatile('create_fork', [Type.String], Type.String, (ctx, name) => create(ctx, name)),
    volatile('create_fork', [Type.String, Type.String], Type.String, (ctx, name, of) => create(ctx, name, of)),
    volatile('drop_fork', [Type.String], Type.Bool, (ctx, name) => drop(ctx, name)),
    {
      name: 'varve_internal.current_fork',
      params: [],
      returns: Type.String,
      volatility: 'stable',
      fn: () => utf8Encode(forks.nameOf(database) ?? MAIN),
    },
  );
  engine.virtualTables.register({
    schema: 'varve_internal',
    name: 'forks',
    comment: 'named forks of this database; connect to one as <database>@<name>',
    columns: [
      { name: 'name', type: Type.String },
      { name: 'parent', type: Type.String },
      { name: 'created', type: Type.TimestampTz },
      { name: 'created_by', type: Type.String },
      { name: 'forked_at', type: Type.Decimal },
      { name: 'clock', type: Type.TimestampTz },
      { name: 'sessions', type: Type.Int8 },
      { name: 'added_bytes', type: Type.Int8 },
      { name: 'cluster_id', type: Type.Uuid },
    ],
    rows: () =>
      forks.list().map(({ name, parent, createdAt, createdBy, database: fork }): Datum[] => {
        const forkedAt = fork.kv.lineage.at(-1)?.forkedAt;
        return [
          utf8Encode(name),
          utf8Encode(parent),
          createdAt,
          utf8Encode(createdBy),
          forkedAt === undefined ? null : timestampToDecimal(forkedAt),
          fork.clock.nowMicros(),
          fork.engine.sessions().length,
          Math.round(fork.kv.memory.addedBytes()),
          parseUuid(fork.kv.clusterId),
        ];
      }),
  });
}
