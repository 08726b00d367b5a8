/**
 * Provider errors: what may be told of an error that an SDK throws. Its object is not kept as a cause: it can hold
 * requests with their headers.
 */
import type { ParsedUri } from './uri.ts';
import { isSecretParameter } from './uri.ts';

const TEXT_MAX = 500;

/** Not an answer, an overloaded service, or one that failed inside: the same call may succeed later. */
export function isRetryableStatus(status: number | undefined): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/** A provider's words, cut, without the secrets of a URI: services repeat what they were sent. */
export function scrub(uri: ParsedUri, text: string): string {
  let scrubbed = text;
  const password = /^[^:]*:(.+)$/s.exec(uri.userInfo ?? '')?.[1] ?? '';
  const secrets = [password, ...[...uri.parameters].filter(([name]) => isSecretParameter(name)).map(([, value]) => value)];
  for (const value of secrets) {
    if (value === '') continue;
    for (const form of [value, value.replaceAll(' ', '+'), encodeURIComponent(value)]) scrubbed = scrubbed.replaceAll(form, 'redacted');
  }
  return scrubbed.length > TEXT_MAX ? `${scrubbed.slice(0, TEXT_MAX)}...` : scrubbed;
}
