/** COPY as statements of the engine. */
import type { CopyFrom, CopyTo } from '../../parse/ast.ts';
import type { RunContext } from '../context.ts';
import type { StatementHooks } from '../statement.ts';
import { copyFrom } from './copyFrom.ts';
import { copyTo } from './copyTo.ts';

/** The client's data comes once, and what was sent cannot be taken back: neither runs a second time by itself. */
export function registerCopyStatements(hooks: StatementHooks): void {
  hooks.register<CopyFrom>('copyFrom', {
    columns: () => undefined,
    run: (context, stmt) => copyFrom(context as RunContext, stmt),
    runsOnce: true,
  });
  hooks.register<CopyTo>('copyTo', {
    columns: () => undefined,
    run: (context, stmt) => copyTo(context as RunContext, stmt),
    runsOnce: true,
    isReadOnly: true,
  });
}
