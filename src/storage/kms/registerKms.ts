/** Register KMS: the key management services that a server knows, by the schemes of their URIs. */
import type { SecretRegistry } from '../secretServices.ts';

import { openAwsKms } from './awsKms.ts';
import { azureKmsOpener } from './azureKms.ts';
import { gcpKmsOpener } from './gcpKms.ts';
import { type MemoryKeys, openMemoryKms } from './memoryKms.ts';

export function registerKms(secrets: SecretRegistry, memoryKeys: MemoryKeys): void {
  for (const scheme of ['aws', 'aws-kms']) secrets.registerKms(scheme, openAwsKms);
  for (const scheme of ['gs', 'gcp-kms']) secrets.registerKms(scheme, gcpKmsOpener());
  secrets.registerKms('azure-kms', azureKmsOpener());
  secrets.registerKms('mem-kms', (uri) => openMemoryKms(uri, memoryKeys));
}
