/** Register GCS: gs:// over one client, whose connections all locations share. */
import { HttpClient, type HttpClientOptions } from '../http/httpClient.ts';
import type { StorageRegistry } from '../registry.ts';
import { type GcsContext, openGcs } from './gcsStorage.ts';

export function registerGcs(storage: StorageRegistry, options: HttpClientOptions & Omit<GcsContext, 'http'>): void {
  const http = new HttpClient(options);
  storage.onClose(() => http.close());
  storage.register('gs', (uri) => openGcs(uri, { ...options, http }));
}
