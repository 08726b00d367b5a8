/**
 * The names of constraints that nobody named, in two styles: PostgreSQL's, which CockroachDB took over in 22.1
 * (`t_pkey`, `t_a_fkey`), and the one of CockroachDB before (`primary`, `fk_a_ref_p`). The cluster setting
 * `varve.sql.constraint_names` says which new tables get; unique constraints, checks and indexes are named alike
 * in both (`t_a_key`, `check_a`, `t_a_idx`).
 *
 * A statement that names a constraint of an existing table may use either: a migration written against one
 * style runs where the other is in force. A name that a constraint really has always comes first. Lives
 * elsewhere: the primary key by either name (../../plan/indexNamed.ts).
 */
import type { ForeignKeyDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import type { ClusterSettings } from '../../../catalog/settings.ts';

export type NameStyle = 'postgres' | 'crdb_21';

export function nameStyle(settings: ClusterSettings): NameStyle {
  return settings.get('varve.sql.constraint_names') as NameStyle;
}

export function primaryKeyName(style: NameStyle, table: string): string {
  return style === 'postgres' ? `${table}_pkey` : 'primary';
}

/** The name before a number makes it free. */
export function foreignKeyName(style: NameStyle, table: string, columns: readonly string[], parent: string): string {
  return style === 'postgres' ? `${table}_${columns.join('_')}_fkey` : `fk_${columns[0]}_ref_${parent}`;
}

/** The foreign key of that name, or the one that was named by one style and is asked for by the other's name. */
export function foreignKeyNamed(
  table: TableDescriptor,
  name: string,
  tableName: (id: number) => string | undefined,
): ForeignKeyDescriptor | undefined {
  const found = table.foreignKeys.find((fk) => fk.name === name);
  if (found) return found;
  return table.foreignKeys.find((fk) => {
    const columns = fk.columnIds.map((id) => table.columns.find((column) => column.id === id)?.name ?? '');
    const parent = fk.referencedTableId === table.id ? table.name : (tableName(fk.referencedTableId) ?? '');
    const inStyle = (style: NameStyle): string => foreignKeyName(style, table.name, columns, parent);
    const styles: readonly NameStyle[] = ['postgres', 'crdb_21'];
    return styles.some((style) => {
      const number = numberAfter(fk.name, inStyle(style));
      return number !== undefined && styles.some((other) => other !== style && `${inStyle(other)}${number}` === name);
    });
  });
}

/** `7` of `fk7` after `fk`, '' of `fk` itself; undefined when the name is another. */
function numberAfter(name: string, base: string): string | undefined {
  if (!name.startsWith(base)) return undefined;
  const rest = name.slice(base.length);
  return /^\d*$/.test(rest) ? rest : undefined;
}
