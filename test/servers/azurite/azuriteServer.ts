/**
 * Azurite, Microsoft's own stand-in for Azure Blob Storage. It is a package apart (package.json beside this file), for
 * it is large: `npm ci --prefix test/servers/azurite` installs it.
 */
import { join } from 'node:path';

import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

import { freePort, type ServerUnderTest, startProgram } from '../process.ts';

export const ACCOUNT = 'devstoreaccount1';
/** Of the test, not the one that every Azurite knows. */
export const KEY = Buffer.from('a key for the test, + / and = in base64 \xff\xfe\xfb', 'latin1').toString('base64');
export const CONTAINER = 'backups';
/** Backslashes, dots at an end, characters that XML has not. */
export const AZURE_REFUSES = /\\|\.(?:\/|$)|\uffff/;

export interface AzuriteUnderTest extends ServerUnderTest {
  /** URL of the blob service. */
  readonly endpoint: string;
}

export async function startAzurite(folder: string): Promise<AzuriteUnderTest> {
  const port = await freePort();
  const program = join(import.meta.dirname, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
  const options = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', folder, '--silent', '--skipApiVersionCheck'];
  const azurite = await startProgram(process.execPath, [program, ...options, '--disableTelemetry'], {
    port,
    cwd: folder,
    env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` },
  });
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  try {
    await new BlobServiceClient(endpoint, new StorageSharedKeyCredential(ACCOUNT, KEY)).getContainerClient(CONTAINER).create();
  } catch (error) {
    await azurite.stop();
    throw error;
  }
  const keys = `AZURE_ACCOUNT_NAME=${ACCOUNT}&AZURE_ACCOUNT_KEY=${encodeURIComponent(KEY)}`;
  return {
    endpoint,
    uri: (name) => `azure-blob://${CONTAINER}/${name}?${keys}&AZURE_ENDPOINT=${encodeURIComponent(endpoint)}`,
    refuses: AZURE_REFUSES,
    stop: () => azurite.stop(),
  };
}
