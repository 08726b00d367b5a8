/**
 * Location details: where a backup's files are, as the user said it, once the expressions of the statement
 * are evaluated. Job records keep it, sealed when it has secrets; it is never shown.
 *
 *   collection   uris, and incrementalUris where incremental layers lie apart
 *   layers       the older statements name every layer; `places` says where each lies. They go by the names
 *                that they would have in a collection (fullDirectory, incrementalDirectory), so that
 *                everything else is the same for both
 *
 * A list of URIs is one place: the default one and one for each locality tier (COCKROACH_LOCALITY).
 *
 * Lives elsewhere: opening what is said here (collectionStorage.ts), reading it from statements (readLocation.ts).
 */
import { openSecret, sealSecret } from '../base/secretBox.ts';
import { quoteLiteral } from '../catalog/names.ts';
import { ParsedUri, redactUri } from '../storage/uri.ts';

import type { EncryptionSecrets } from './keyring.ts';

/** URIs of one place, the default one first, never empty. */
export type PlaceUris = readonly string[];

export interface LocationDetails {
  /** As the user gave them. Of the older statements: where the backup goes, or the full is. */
  readonly uris: PlaceUris;
  /** Where incremental layers lie, one for each of `uris`; empty: beside the fulls. */
  readonly incrementalUris: readonly string[];
  /** Set by the older statements. */
  readonly places?: readonly LayerPlace[];
  /** What opens encrypted backups there. */
  readonly secrets?: EncryptionSecrets;
}

/** Where the files of a layer lie that a statement names by itself. */
export interface LayerPlace {
  /** The layer's directory, as if in a collection; or of a chain: everything below `incrementals/<full>`. */
  readonly directory: string;
  readonly uris: PlaceUris;
}

/** As job records keep it: as it is, or sealed when there is a secret in it. */
export type StoredLocation = LocationDetails | { readonly sealed: string };

export function storeLocation(location: LocationDetails): StoredLocation {
  const isOpen = location.secrets === undefined && urisOf(location).every((uri) => redactUri(uri) === uri);
  return isOpen ? location : { sealed: sealSecret(JSON.stringify(location)) };
}

/** Reads what storeLocation made. */
export function loadLocation(stored: StoredLocation): LocationDetails {
  return 'sealed' in stored ? (JSON.parse(openSecret(stored.sealed)) as LocationDetails) : stored;
}

/** A collection at one URI. */
export function locationOf(uri: string): LocationDetails {
  return { uris: [uri], incrementalUris: [] };
}

/** Every URI of a location, secrets included. */
export function urisOf({ uris, incrementalUris, places = [] }: LocationDetails): readonly string[] {
  return [...uris, ...incrementalUris, ...places.flatMap((place) => place.uris)];
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
export function placeKey({ uris, incrementalUris, places }: LocationDetails): string {
  const bare = (uri: string | undefined) => (uri === undefined ? '' : ParsedUri.parse(uri).withoutLocality().unredacted());
  return JSON.stringify([bare(uris[0]), bare(incrementalUris[0]), places !== undefined]);
}

/** The tiers of a list, sorted: what a layer's files are spread over beside the default place. */
export function localitiesOf(uris: PlaceUris): string[] {
  return uris.flatMap((uri) => tierOf(uri) ?? []).sort();
}

/** `region=us-east`; '' for the default place, undefined when the URI does not say. 22023 for anything else. */
export function tierOf(uri: string): string | undefined {
  const { locality } = ParsedUri.parse(uri);
  return locality === undefined || locality === 'default' ? undefined : `${locality.key}=${locality.value}`;
}

/** `'u'`, or `('u1', 'u2')`, redacted, as statements have them. */
export function urisText(uris: PlaceUris): string {
  const texts = uris.map((uri) => quoteLiteral(redactUri(uri)));
  return texts.length === 1 ? (texts[0] as string) : `(${texts.join(', ')})`;
}
