/** Register HTTP: the schemes of HTTP storage, over one client. */
import type { StorageRegistry } from '../registry.ts';
import { HttpClient, type HttpClientOptions } from './httpClient.ts';
import { openHttp } from './httpStorage.ts';

export const HTTP_SCHEMES = ['http', 'https', 'file-http', 'file-https'] as const;

export function registerHttp(storage: StorageRegistry, options: HttpClientOptions): void {
  const client = new HttpClient(options);
  storage.onClose(() => client.close());
  for (const scheme of HTTP_SCHEMES) storage.register(scheme, (uri) => openHttp(uri, client));
}
