/**
 * The statements that sql itself runs besides queries and row changes, in one list: each is a hook
 * like those of the layers above.
 */
import type {
  AlterDefaultPrivileges,
  AlterRole,
  CreateRole,
  DropOwned,
  DropRole,
  Grant,
  GrantRole,
  ReassignOwned,
  Revoke,
  AlterDatabase,
  AlterIndex,
  AlterRelation,
  AlterSchema,
  AlterSequence,
  AlterTable,
  AlterType,
  CommentOn,
  CreateDatabase,
  CreateIndex,
  CreateSchema,
  CreateSequence,
  CreateTable,
  CreateTableAs,
  CreateType,
  AlterFunction,
  CreateFunction,
  CreateView,
  DropFunction,
  DropDatabase,
  DropIndex,
  DropRelation,
  DropSchema,
  DropType,
  RefreshView,
  Statement,
  Truncate,
} from '../parse/ast.ts';
import type { RunContext } from './context.ts';
import { registerCopyStatements } from './copy/register.ts';
import { alterTable } from './ddl/alterTable.ts';
import { SchemaChange } from './ddl/common.ts';
import { createTable } from './ddl/createTable.ts';
import { createTableAs } from './ddl/createTableAs.ts';
import { alterDatabase, alterRelation, alterSchema, commentOn, createDatabase, createSchema } from './ddl/databases.ts';
import { dropDatabase, dropRelation, dropSchema, truncate } from './ddl/drop.ts';
import { alterIndex, createIndex, dropIndex } from './ddl/indexes.ts';
import { alterSequence, createSequence } from './ddl/sequences.ts';
import { alterDefaultPrivileges } from './ddl/defaultPrivileges.ts';
import { changeGrants } from './ddl/grants.ts';
import { dropOwned, reassignOwned } from './ddl/ownership.ts';
import { alterRole, changeMembership, createRole, dropRole } from './ddl/roles.ts';
import { alterType, createType, dropType } from './ddl/types.ts';
import { alterFunction, createFunction, dropFunction } from './ddl/functions.ts';
import { createView, refreshView } from './ddl/views.ts';
import { registerExplain } from './explain.ts';
import { registerRangeStatements } from './rangeStatements.ts';
import { followingDropped } from './schemaChange/droppedData.ts';
import { registerSessionControl } from './sessionControl.ts';
import { registerSettingStatements } from './settingStatements.ts';
import { registerShowStatements } from './show.ts';
import { registerShowFingerprints } from './showFingerprints.ts';
import { registerSqlCursors } from './sqlCursors.ts';
import type { StatementHooks } from './statement.ts';
import { statementName } from './tags.ts';

export function registerBuiltinStatements(hooks: StatementHooks): void {
  /** A schema change: no rows, its own name as tag. */
  const ddl = <S extends Statement>(kind: S['kind'], run: (change: SchemaChange, stmt: S) => Promise<unknown>): void => {
    hooks.register<S>(kind, {
      columns: () => undefined,
      run: async (context, stmt) => {
        const change = await SchemaChange.begin(context as RunContext);
        await followingDropped(context as RunContext, stmt, () => run(change, stmt));
        change.note();
        return { tag: statementName(stmt) };
      },
    });
  };
  ddl<CreateDatabase>('createDatabase', createDatabase);
  ddl<AlterDatabase>('alterDatabase', alterDatabase);
  ddl<DropDatabase>('dropDatabase', dropDatabase);
  ddl<CreateSchema>('createSchema', createSchema);
  ddl<AlterSchema>('alterSchema', alterSchema);
  ddl<DropSchema>('dropSchema', dropSchema);
  ddl<CreateTable>('createTable', createTable);
  ddl<CreateTableAs>('createTableAs', createTableAs);
  ddl<AlterTable>('alterTable', alterTable);
  for (const kind of ['dropTable', 'dropView', 'dropSequence'] as const) ddl<DropRelation>(kind, dropRelation);
  ddl<Truncate>('truncate', truncate);
  ddl<CreateIndex>('createIndex', createIndex);
  ddl<DropIndex>('dropIndex', dropIndex);
  ddl<AlterIndex>('alterIndex', alterIndex);
  ddl<CreateSequence>('createSequence', createSequence);
  ddl<AlterSequence>('alterSequence', alterSequence);
  ddl<AlterRelation>('alterRelation', alterRelation);
  ddl<CreateView>('createView', createView);
  ddl<RefreshView>('refreshView', refreshView);
  ddl<CreateType>('createType', createType);
  ddl<AlterType>('alterType', alterType);
  ddl<DropType>('dropType', dropType);
  ddl<CreateFunction>('createFunction', createFunction);
  ddl<AlterFunction>('alterFunction', alterFunction);
  ddl<DropFunction>('dropFunction', dropFunction);
  ddl<CommentOn>('commentOn', commentOn);
  ddl<CreateRole>('createRole', createRole);
  ddl<AlterRole>('alterRole', alterRole);
  ddl<DropRole>('dropRole', dropRole);
  for (const kind of ['grantRole', 'revokeRole'] as const) ddl<GrantRole>(kind, changeMembership);
  ddl<Grant>('grant', changeGrants);
  ddl<Revoke>('revoke', changeGrants);
  ddl<AlterDefaultPrivileges>('alterDefaultPrivileges', alterDefaultPrivileges);
  ddl<ReassignOwned>('reassignOwned', reassignOwned);
  ddl<DropOwned>('dropOwned', dropOwned);
  registerSessionControl(hooks);
  registerSettingStatements(hooks);
  registerShowStatements(hooks);
  registerRangeStatements(hooks);
  registerExplain(hooks);
  registerShowFingerprints(hooks);
  registerSqlCursors(hooks);
  registerCopyStatements(hooks);
}
