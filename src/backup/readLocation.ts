/**
 * Read location: the URIs of a statement, and its option incremental_location, to where the backup's files are.
 *
 * A statement that writes needs a list that says which place is for which tier of node localities; one that reads
 * takes any list that has all places, the default one first. Error texts are CockroachDB's.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { readConnection } from '../catalog/externalConnections.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Option, UriList } from '../sql/parse/ast.ts';
import { CONNECTION_SCHEME } from '../storage/access.ts';
import { checkConnectionUri, localityOfConnection } from '../storage/external/connectionUri.ts';
import { LOCALITY_PARAMETER, ParsedUri } from '../storage/uri.ts';

import type { LocationDetails, PlaceUris } from './locationDetails.ts';
import { localitiesOf, tierOf } from './locationDetails.ts';
import { requireText, requireTexts } from './statementValues.ts';

export const INCREMENTAL_LOCATION = 'incremental_location';

/** Where a statement finds backups. 22023. */
export async function readLocation(context: StatementContext, uris: UriList, incremental?: Option): Promise<LocationDetails> {
  const places = await readUris(context, uris);
  const incrementalPlaces = await readIncrementalUris(context, incremental, places);
  return { uris: defaultFirst(places), incrementalUris: incrementalPlaces.length > 0 ? defaultFirst(incrementalPlaces) : [] };
}

/** The same for a statement that writes them: a list says for which tier each of its places is. 22023. */
export async function readDestination(context: StatementContext, uris: UriList, incremental?: Option): Promise<LocationDetails> {
  const places = await readUris(context, uris);
  checkTiers(places);
  const incrementalPlaces = await readIncrementalUris(context, incremental, places);
  if (incrementalPlaces.length > 0) {
    checkTiers(incrementalPlaces);
    const [here, there] = [localitiesOf(places), localitiesOf(incrementalPlaces)];
    if (here.join() !== there.join()) {
      throw invalid(`the incremental_location option has localities [${there.join(' ')}], the backup destination has [${here.join(' ')}]`, {
        hint: 'name a place for each locality in both lists',
      });
    }
  }
  return { uris: defaultFirst(places), incrementalUris: incrementalPlaces.length > 0 ? defaultFirst(incrementalPlaces) : [] };
}

/** The URIs of one place, as they are written. 22023 for NULL, and for what is no URI. */
export async function readUris(context: StatementContext, uris: UriList): Promise<string[]> {
  const places: string[] = [];
  for (const uri of uris) {
    places.push(await placeText(context, await requireText(context, uri, 'the location of a backup')));
  }
  return places;
}

/** The URI with the locality that its connection says, where it is the name of one. What is wrong with it shows before anything is opened. */
async function placeText(context: StatementContext, text: string): Promise<string> {
  const uri = ParsedUri.parse(text);
  void uri.locality;
  if (uri.scheme !== CONNECTION_SCHEME) return text;
  checkConnectionUri(uri);
  const connection = await readConnection(context.txn, uri.host);
  return connection === undefined ? text : localityOfConnection(uri, connection.uri);
}

async function readIncrementalUris(context: StatementContext, option: Option | undefined, base: PlaceUris): Promise<string[]> {
  if (option === undefined) return [];
  const location = { position: option.pos + 1 };
  if (option.value === undefined) throw new StatementError(SqlState.SyntaxError, `option ${option.name} needs a value`, { location });
  const places: string[] = [];
  for (const text of await requireTexts(context, option.value, `option ${option.name}`)) places.push(await placeText(context, text));
  if (places.length === base.length) return places;
  throw invalid('the incremental_location option must contain the same number of locality aware URIs as the full backup destination', {
    detail: `it has ${places.length}, the destination has ${base.length}`,
    location,
  });
}

/** Throws 22023 when the option comes with an older statement, whose layers lie where each is named. */
export function refuseIncrementalLocation(statement: 'BACKUP' | 'RESTORE' | 'SHOW BACKUP', option: Option | undefined): void {
  if (option === undefined) return;
  const only = (syntax: string) => `incremental_location can only be used with the following syntax: '${syntax}'`;
  const message = {
    BACKUP: 'incremental_location option not supported with `BACKUP TO` syntax',
    RESTORE: only('RESTORE [target] FROM [subdirectory] IN [destination]'),
    'SHOW BACKUP': only('SHOW BACKUP FROM [subdirectory] IN [destination]'),
  }[statement];
  throw invalid(message, {
    hint: 'where each layer lies is what the statement says',
    location: { position: option.pos + 1 },
  });
}

/** Throws 22023 unless a list for writing has one default place, and at most one for each tier. */
export function checkTiers(uris: PlaceUris): void {
  const [first, ...others] = uris;
  if (first === undefined) return;
  if (others.length === 0) {
    const tier = tierOf(first);
    if (tier === undefined) return;
    throw invalid(`${LOCALITY_PARAMETER} ${tier} is invalid for a single BACKUP location`, {
      hint: `name a default place too: ('...?${LOCALITY_PARAMETER}=default', '...?${LOCALITY_PARAMETER}=${encodeURIComponent(tier)}')`,
    });
  }
  const tiers = new Set<string>();
  let hasDefault = false;
  for (const uri of uris) {
    const { locality } = ParsedUri.parse(uri);
    if (locality === undefined) {
      throw invalid(`multiple URLs are provided for partitioned BACKUP, but ${LOCALITY_PARAMETER} is not specified`, {
        detail: `it is missing in "${ParsedUri.parse(uri)}"`,
        hint: `add ${LOCALITY_PARAMETER}=default to one, and ${LOCALITY_PARAMETER}=key%3Dvalue to each of the others`,
      });
    }
    if (locality === 'default') {
      if (hasDefault) throw invalid('multiple default URLs provided for partition backup', { hint: 'one place is the default' });
      hasDefault = true;
      continue;
    }
    const tier = `${locality.key}=${locality.value}`;
    if (tiers.has(tier)) throw invalid(`duplicate URIs for locality ${tier}`, { hint: 'name one place for each tier' });
    tiers.add(tier);
  }
  if (!hasDefault) {
    throw invalid('no default URL provided for partitioned backup', {
      hint: `nodes whose locality matches none of the places write to the one with ${LOCALITY_PARAMETER}=default`,
    });
  }
}

/** The place that the list calls the default, or else the first, in front. */
export function defaultFirst(uris: PlaceUris): PlaceUris {
  const index = uris.findIndex((uri) => ParsedUri.parse(uri).locality === 'default');
  return index <= 0 ? uris : [uris[index] as string, ...uris.filter((_, i) => i !== index)];
}

function invalid(message: string, fields: ConstructorParameters<typeof StatementError>[2]): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, message, fields);
}
