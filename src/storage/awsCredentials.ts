/**
 * AWS credentials of a URI: keys that it carries, or what the server's environment gives, and roles assumed on top,
 * one after another.
 */
import { assumedRoles, authMode, requireParameters } from './authParameter.ts';
import { loadOptional } from './optionalPackage.ts';
import type { ParsedUri } from './uri.ts';

type CredentialProvider = ReturnType<typeof import('@aws-sdk/credential-providers')['fromTemporaryCredentials']>;
export type AwsCredentials = CredentialProvider | { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

const SESSION_NAME = 'varve';

/** Throws 22023 for parameters that do not go together. Touches no network. */
export function checkCredentials(uri: ParsedUri): void {
  staticCredentials(uri);
  assumedRoles(uri);
}

/** What the SDK is to sign with; undefined: whatever the server's environment gives. STS is asked at `place`. */
export async function assumeRoles(uri: ParsedUri, place: { region: string; endpoint?: string }): Promise<AwsCredentials | undefined> {
  const roles = assumedRoles(uri);
  let credentials = staticCredentials(uri);
  if (roles.length === 0) return credentials;
  const { fromTemporaryCredentials } = await loadOptional(
    '@aws-sdk/credential-providers',
    'ASSUME_ROLE',
    () => import('@aws-sdk/credential-providers'),
  );
  for (const { role, externalId } of roles) {
    credentials = fromTemporaryCredentials({
      ...(credentials && { masterCredentials: credentials }),
      params: { RoleArn: role, RoleSessionName: SESSION_NAME, ...(externalId !== undefined && { ExternalId: externalId }) },
      clientConfig: place,
    });
  }
  return credentials;
}

function staticCredentials(uri: ParsedUri): AwsCredentials | undefined {
  if (authMode(uri) === 'implicit') return undefined;
  const given = requireParameters(uri, 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY');
  const token = uri.parameters.get('AWS_SESSION_TOKEN');
  return {
    accessKeyId: given.AWS_ACCESS_KEY_ID,
    // A '+' that was not encoded came out as a space, and no secret has one.
    secretAccessKey: given.AWS_SECRET_ACCESS_KEY.replaceAll(' ', '+'),
    ...(token !== undefined && { sessionToken: token.replaceAll(' ', '+') }),
  };
}
