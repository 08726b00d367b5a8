/** Register HTTP: the schemes of HTTP storage, over one client, or their refusal. */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import type { StorageRegistry } from '../registry.ts';
import { HttpClient, type HttpClientOptions } from './httpClient.ts';
import { openHttp } from './httpStorage.ts';

export const HTTP_SCHEMES = ['http', 'https', 'file-http', 'file-https'] as const;

/** `isDisabled`: the server was started with --external-io-disable-http; every opening fails with 42501. */
export function registerHttp(storage: StorageRegistry, options: HttpClientOptions & { readonly isDisabled: boolean }): void {
  const client = new HttpClient(options);
  storage.onClose(() => client.close());
  for (const scheme of HTTP_SCHEMES) {
    storage.register(scheme, (uri) => {
      if (options.isDisabled) {
        throw new StatementError(SqlState.InsufficientPrivilege, 'external http access disabled', {
          detail: `in "${uri}"`,
          hint: 'the server was started with --external-io-disable-http',
        });
      }
      return openHttp(uri, client);
    });
  }
}
