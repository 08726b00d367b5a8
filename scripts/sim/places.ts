/**
 * Places: where a collection's files lie, and how statements say so: at one URI, in a place for each locality, with
 * incremental layers apart, or by the older statements, at a URI to which layers are appended. And what opens them:
 * nothing, a passphrase, or keys of a KMS, of which restores name one only.
 */
import type { Dice } from './dice.ts';

export type PlacesForm = 'at one URI' | 'in localities' | 'apart' | 'in localities, apart' | 'appended';

/** Regions of nodes that have a place; those of the others write to the default one. */
const REGIONS = ['r1', 'r2'];

/** Deriving a key takes as long as a few hundred steps, so passphrases are few. */
export type PlacesSecrets = 'plain' | 'passphrase' | 'kms';

/** A storage, and where its names stand among the collection's. */
export interface Place {
  readonly uri: string;
  readonly prefix: string;
}

export class Places {
  /** The default URI: what tells collections apart. */
  readonly uri: string;
  readonly form: PlacesForm;
  readonly secrets: PlacesSecrets;
  readonly #lists: boolean;
  readonly #apart: boolean;
  readonly #name: string;

  constructor(name: string, scheme: 'mem' | 'userfile', form: PlacesForm, secrets: PlacesSecrets = 'plain') {
    this.#name = name;
    this.secrets = secrets;
    this.form = form;
    this.uri = scheme === 'mem' ? `mem://bucket/${name}` : `userfile://defaultdb.public.files/${name}`;
    this.#lists = form.includes('localities');
    this.#apart = form.includes('apart');
  }

  static choose(dice: Dice, name: string): Places {
    const form = dice.weighted<PlacesForm>([
      [40, 'at one URI'],
      [20, 'in localities'],
      [15, 'apart'],
      [10, 'in localities, apart'],
      [15, 'appended'],
    ]);
    const scheme = dice.percent(20) ? 'userfile' : 'mem';
    const secrets = dice.weighted<PlacesSecrets>([
      [70, 'plain'],
      [6, 'passphrase'],
      [24, 'kms'],
    ]);
    return new Places(name, scheme, form, secrets);
  }

  get isAppended(): boolean {
    return this.form === 'appended';
  }

  get hasLocalities(): boolean {
    return this.#lists;
  }

  /** After the targets of BACKUP. `full`: 'new', 'latest', or the name of one. */
  into(full: string): string {
    if (this.isAppended) return `TO '${this.uri}'`;
    const list = this.#list(this.uri, 'places', true);
    if (full === 'new') return `INTO ${list}`;
    return full === 'latest' ? `INTO LATEST IN ${list}` : `INTO '${full}' IN ${list}`;
  }

  /** After the targets of RESTORE. */
  from(full: string): string {
    return this.isAppended ? `FROM '${this.uri}'` : `FROM '${full}' IN ${this.#list(this.uri, 'places', false)}`;
  }

  backupOptions(): string[] {
    const apart = this.#apart ? [`incremental_location = ${this.#list(this.#apartUri, 'apart', true)}`] : [];
    return [...apart, ...this.#secretOptions("('mem-kms:///k1', 'mem-kms:///k2')")];
  }

  restoreOptions(): string[] {
    const apart = this.#apart ? [`incremental_location = ${this.#list(this.#apartUri, 'apart', false)}`] : [];
    return [...apart, ...this.#secretOptions("'mem-kms:///k2'")];
  }

  #secretOptions(keys: string): string[] {
    if (this.secrets === 'plain') return [];
    return this.secrets === 'kms' ? [`kms = ${keys}`] : [`encryption_passphrase = 'of ${this.#name}'`];
  }

  /** Every storage with files of the collection. */
  all(): Place[] {
    const places: Place[] = [{ uri: this.uri, prefix: '' }];
    if (this.#lists) for (const region of REGIONS) places.push({ uri: this.#regionUri('places', region), prefix: '' });
    if (this.#apart) places.push({ uri: this.#apartUri, prefix: 'incrementals/' });
    if (this.#apart && this.#lists) {
      for (const region of REGIONS) places.push({ uri: this.#regionUri('apart', region), prefix: 'incrementals/' });
    }
    return places;
  }

  /** The name that a file of a place has in the collection; `layers`: directories of those that may be there. */
  nameOf(place: Place, file: string, layers: readonly string[]): string {
    if (!this.isAppended) return place.prefix + file;
    const own = /^\d{8}\/\d{6}\.\d\d\//.exec(file)?.[0];
    const layer = layers.find((directory) => (own === undefined ? !isIncremental(directory) : `${directory}/`.endsWith(`/${own}`)));
    if (layer === undefined) return file;
    return `${layer}/${own === undefined ? file : file.slice(own.length)}`;
  }

  get #apartUri(): string {
    return `mem://apart/${this.#name}`;
  }

  #regionUri(kind: 'places' | 'apart', region: string): string {
    return `mem://${kind}-${region}/${this.#name}`;
  }

  /** For writing it says which place is whose. */
  #list(main: string, kind: 'places' | 'apart', forWriting: boolean): string {
    if (!this.#lists) return `'${main}'`;
    const own = REGIONS.map((region) => {
      return `'${this.#regionUri(kind, region)}${forWriting ? `?COCKROACH_LOCALITY=region%3D${region}` : ''}'`;
    });
    return `('${main}${forWriting ? '?COCKROACH_LOCALITY=default' : ''}', ${own.join(', ')})`;
  }
}

function isIncremental(directory: string): boolean {
  return directory.startsWith('incrementals/');
}
