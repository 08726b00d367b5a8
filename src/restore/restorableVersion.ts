/**
 * Restorable version: whether a backup that a cluster of one version took may be restored on a cluster
 * of another. Versions are the compatible ones of CockroachDB, `major.minor`; Varve's own format has a
 * version besides (docs/format.md), which the reader of a manifest checks.
 *
 *   taken on N     restorable on N, and up to the next regular release: innovation releases
 *                  (24.2, 25.1, 25.3, ...) may be left out on the way
 *   before that    only WITH unsafe_restore_incompatible_version
 *   newer          never
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { FIRST_CLUSTER_VERSION, type Layer } from '../backup/manifest.ts';

interface Release {
  readonly year: number;
  readonly minor: number;
}

/** From 24.1 on some releases of a year may be skipped; before, and since 25 again, there are two regular ones a year. */
const REGULAR_MINORS = Object.freeze({ before24: [1, 2], in24: [1, 3], since25: [2, 4] });

/** Throws 22023 for text that is no version. */
function parse(text: string): Release {
  const [, year, minor] = /^(\d+)\.(\d+)$/.exec(text) ?? [];
  if (year === undefined || minor === undefined) throw new StatementError(SqlState.InvalidParameterValue, `"${text}" is not a version`);
  return { year: Number(year), minor: Number(minor) };
}

function regularMinors(year: number): readonly number[] {
  if (year < 24) return REGULAR_MINORS.before24;
  return year === 24 ? REGULAR_MINORS.in24 : REGULAR_MINORS.since25;
}

const isOlder = (a: Release, b: Release): boolean => a.year < b.year || (a.year === b.year && a.minor < b.minor);

/** The oldest version whose backups a cluster of `version` restores: the regular release before it. */
export function minimumRestorable(version: string): string {
  const { year, minor } = parse(version);
  const sameYear = regularMinors(year).filter((one) => one < minor);
  const [found, of] = sameYear.length > 0 ? [sameYear, year] : [regularMinors(year - 1), year - 1];
  return `${of}.${Math.max(...found)}`;
}

/** Throws 22023 unless every layer was taken on a version that this cluster restores. */
export function checkVersions(layers: readonly Layer[], clusterVersion: string, isUnsafe: boolean): void {
  const here = parse(clusterVersion);
  const minimum = minimumRestorable(clusterVersion);
  for (const { directory, manifest } of layers) {
    const version = manifest.clusterVersion ?? FIRST_CLUSTER_VERSION;
    const taken = parse(version);
    if (isOlder(here, taken)) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `backup from version ${version} is newer than current version ${clusterVersion}`,
        {
          detail: `layer "${directory}"`,
          hint: 'restore it on a cluster of that version',
        },
      );
    }
    if (!isUnsafe && isOlder(taken, parse(minimum))) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `backup from version ${version} is older than the minimum restorable version ${minimum}`,
        {
          detail: `layer "${directory}"`,
          hint: 'restore it on a cluster of a version between, and back that up; or WITH unsafe_restore_incompatible_version, if need be',
        },
      );
    }
  }
}
