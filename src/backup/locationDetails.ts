/**
 * Location details: where a backup's files are, as the user said it, once the expressions of the statement
 * are evaluated. Job records keep it, secrets included; it is never shown.
 *
 * Lives elsewhere: opening what is said here (collectionStorage.ts).
 */

export interface LocationDetails {
  /** As the user gave them; the default one first, never empty. */
  readonly uris: readonly string[];
  /** Where incremental layers lie, in the order of `uris`; empty: beside the fulls. */
  readonly incrementalUris: readonly string[];
}

/** A collection at one URI. */
export function locationOf(uri: string): LocationDetails {
  return { uris: [uri], incrementalUris: [] };
}

/** Every URI of a location, secrets included. */
export function urisOf({ uris, incrementalUris }: LocationDetails): readonly string[] {
  return [...uris, ...incrementalUris];
}

/** The URI that stands for the location where one name is wanted. Secrets included. */
export function defaultUri({ uris }: LocationDetails): string {
  return uris[0] ?? '';
}

/** True when two statements mean the same place: what is written to one is found in the other. */
export function isSamePlace(a: LocationDetails, b: LocationDetails): boolean {
  return placeKey(a) === placeKey(b);
}

/** Equal for equal places. Secrets included. */
export function placeKey({ uris, incrementalUris }: LocationDetails): string {
  return JSON.stringify([uris[0], incrementalUris[0]]);
}
