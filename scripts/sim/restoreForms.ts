/**
 * Restore forms: the ways in which a simulation restores a database, in turn: under a name given by new_db_name
 * or by rename, with its past, and of one of its tables some rows.
 */
import type { Row } from './model.ts';
import { tell } from './world.ts';

export type RestoreForm = 'plain' | 'renamed' | 'past' | 'rows';

const FORMS: readonly RestoreForm[] = ['plain', 'renamed', 'past', 'rows', 'past'];

/** The form of a run's n-th restore. */
export function formOf(n: number): RestoreForm {
  return FORMS[n % FORMS.length] ?? 'plain';
}

export function nameOption(form: RestoreForm, database: string, into: string): string {
  return form === 'renamed' ? `rename = ('${database}' = '${into}')` : `new_db_name = '${into}'`;
}

/** What a restore may say besides, of which none changes what it brings; in turn. */
const ASIDES: readonly (readonly string[])[] = [
  [],
  ['detached'],
  ["EXECUTION LOCALITY = 'region=r1'"],
  ['skip_localities_check', 'unsafe_restore_incompatible_version'],
  [],
  ['skip_missing_views', 'skip_missing_sequence_owners', 'skip_missing_udfs'],
];

export function asideOptions(n: number): readonly string[] {
  return ASIDES[n % ASIDES.length] ?? [];
}

export function pastOption(form: RestoreForm): string {
  return form === 'past' ? ', revision_history' : '';
}

/** The database that a job of the simulation's own restores into. */
export function restoredInto(description: string): string | undefined {
  const match = /(?:new_db_name|into_db) = '(r\d+)'|rename = \('[^']+' = '(r\d+)'\)/.exec(description);
  return match?.[1] ?? match?.[2];
}

/** A layer without revision history has no past to bring. */
export function hasNoPast(error: unknown): boolean {
  return /the backup holds no history before/.test(tell(error));
}

/** The condition of a restore of some rows: every table has an id. */
export const SOME_ROWS = 'id % 2 = 0';

/** The same for the model. */
export function isSomeRow(row: Row): boolean {
  return Number(row['id']) % 2 === 0;
}
