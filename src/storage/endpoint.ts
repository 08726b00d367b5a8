/** Endpoints: URLs of services other than the provider's own, as AWS_ENDPOINT and its like name them. */
import { invalid } from './authParameter.ts';
import type { ParsedUri } from './uri.ts';

/** The URL without a slash at its end; `https` when it names no scheme. 22023 for what is not the URL of a server. */
export function endpointUrl(parameter: string, text: string, uri: ParsedUri): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isPlain) throw invalid(`${parameter} is not the URL of a server`, uri, `write ${parameter}=https://host:port, percent-encoded`);
  return url.href.replace(/\/$/, '');
}
