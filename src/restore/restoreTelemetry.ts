/** Restore telemetry: what the event of a RESTORE tells of it, without names, places or secrets. */
import type { EventFields } from '../base/eventLog.ts';

import { locationTelemetry } from '../backup/backupTelemetry.ts';

import type { RestoreDetails } from './restoreDetails.ts';

export function restoreTelemetry(details: RestoreDetails): EventFields {
  const databases = details.descriptors.filter(({ kind }) => kind === 'database').length;
  return {
    RecoveryType: 'restore',
    TargetScope: details.system?.kind === 'cluster' ? 'cluster' : databases > 0 ? 'database' : 'table',
    TargetCount: databases > 0 ? databases : details.tableIds.length,
    LayerCount: details.layers.length,
    WithRevisionHistory: details.pastStarts !== undefined,
    SchemaOnly: details.schemaOnly,
    ...locationTelemetry(details.location),
  };
}
