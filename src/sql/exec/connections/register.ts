/** Registers the statements on external connections with an engine. */
import type { Clock } from '../../../base/clock.ts';
import type {
  AlterExternalConnection,
  CheckExternalConnection,
  CreateExternalConnection,
  DropExternalConnection,
  ShowExternalConnections,
} from '../../parse/ast.ts';
import type { StorageFactory } from '../../../storage/externalStorage.ts';
import type { StatementHooks } from '../statement.ts';
import { runAlter, runCreate, runDrop } from './changes.ts';
import { CHECK_COLUMNS, runCheck } from './check.ts';
import { runShow, shownColumns } from './show.ts';

export interface ConnectionDeps {
  readonly engine: { readonly statements: StatementHooks };
  readonly storage: StorageFactory;
  /** Of which transfers are timed: real time, also beside a manual clock. */
  readonly ioClock: Clock;
}

export function registerExternalConnections({ engine: { statements }, storage, ioClock }: ConnectionDeps): void {
  statements.register<CreateExternalConnection>('createExternalConnection', {
    columns: () => undefined,
    run: (context, stmt) => runCreate(storage, context, stmt),
  });
  statements.register<AlterExternalConnection>('alterExternalConnection', {
    columns: () => undefined,
    run: (context, stmt) => runAlter(storage, context, stmt),
  });
  statements.register<DropExternalConnection>('dropExternalConnection', { columns: () => undefined, run: runDrop });
  statements.register<ShowExternalConnections>('showExternalConnections', { columns: shownColumns, run: runShow, isReadOnly: true });
  statements.register<CheckExternalConnection>('checkExternalConnection', {
    columns: () => CHECK_COLUMNS,
    run: (context, stmt) => runCheck({ storage, ioClock }, context, stmt),
    isReadOnly: true,
  });
}
