/** Attached targets: a backup in place is not backed up again; said in plain words instead of "does not exist". */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { AttachedDatabases } from '../catalog/attached.ts';
import type { NameContext } from '../catalog/snapshot.ts';
import type { BackupTargets } from '../sql/parse/ast.ts';

/** Throws 0A000 when a target names an attached backup, or something in it. */
export function refuseAttachedTargets(attached: AttachedDatabases, targets: BackupTargets, names: NameContext): void {
  if (attached.isEmpty) return;
  const named =
    targets.type === 'databases'
      ? targets.names.map(({ text }) => text)
      : targets.type === 'tables'
        ? targets.patterns.map(({ parts }) => (parts.length > 1 ? (parts[0]?.text ?? '') : names.currentDatabase))
        : [];
  const name = named.find((one) => attached.get(one) !== undefined);
  if (name === undefined) return;
  throw new StatementError(SqlState.FeatureNotSupported, `database "${name}" is an attached backup, which cannot be backed up`, {
    hint: 'copy the files of its collection, or RESTORE it and back that up',
  });
}
