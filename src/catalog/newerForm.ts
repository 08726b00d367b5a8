/**
 * `varve.sql.compatibility`: which CockroachDB's ways hold where its versions differ in what clients
 * compare: those of 21.1, or those of 25.1 (new databases' privileges, SHOW's columns and texts).
 * What is better in either holds in both; this is for scripts that compare texts.
 */
import type { ClusterSettings } from './settings.ts';

/** True for the ways of 25.1. */
export function isNewerForm(settings: ClusterSettings): boolean {
  return settings.get('varve.sql.compatibility') === 'crdb_25';
}
