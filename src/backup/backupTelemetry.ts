/** Backup telemetry: what the event of a BACKUP tells of it, without names, places or secrets. */
import type { EventFields } from '../base/eventLog.ts';
import { ParsedUri } from '../storage/uri.ts';

import type { BackupDetails } from './backupDetails.ts';
import { type LocationDetails, urisOf } from './locationDetails.ts';

export function backupTelemetry(details: BackupDetails): EventFields {
  return {
    RecoveryType: details.schedule === undefined ? 'backup' : 'scheduled_backup',
    TargetScope: details.scope,
    TargetCount: details.targetIds.length,
    BackupType: details.kind,
    IsLocalityAware: details.localities.length > 0,
    WithRevisionHistory: details.revisionHistory,
    ...locationTelemetry(details.location),
  };
}

/** Kinds of places, by their schemes, and whether there is a key. */
export function locationTelemetry(location: LocationDetails): EventFields {
  const uris = urisOf(location).map((uri) => ParsedUri.parse(uri));
  const { secrets } = location;
  return {
    DestinationStorageTypes: distinct(uris.map(({ scheme }) => scheme)),
    DestinationAuthTypes: distinct(uris.map(({ parameters }) => parameters.get('AUTH') ?? 'specified')),
    IsEncrypted: secrets !== undefined,
    HasEncryptionPassphrase: secrets?.type === 'passphrase',
  };
}

function distinct(words: readonly string[]): string[] {
  return [...new Set(words)].sort();
}
