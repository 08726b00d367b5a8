/** What statements say about regions: those of a database, and where a table is at home. */
import type { DatabaseRegionsClause, AlterDatabase, Name, TableLocalityClause } from '../ast.ts';
import { T } from '../tokens.ts';
import type { Alternative } from './base.ts';
import { TableDefParser } from './tableDef.ts';

export abstract class RegionParser extends TableDefParser {
  /** A name, or a string. */
  protected regionName(): Name {
    if (this.recorder !== undefined) {
      return this.choose<Name>([[T.String, () => ({ text: '', pos: 0 })]], () => this.name());
    }
    const { pos } = this;
    return this.c.at(T.String) ? { text: this.stringText(), pos } : this.name();
  }

  private regionAfter(...words: (typeof T.PRIMARY)[]): Name {
    this.toks(...words);
    this.has(T.Equal);
    return this.regionName();
  }

  private goal(): 'zone' | 'region' {
    this.has(T.Equal);
    const goal = this.choose<'zone' | 'region'>([
      [T.ZONE, () => 'zone'],
      [T.REGION, () => 'region'],
    ]);
    this.tok(T.FAILURE);
    return goal;
  }

  private placement(): 'default' | 'restricted' {
    this.has(T.Equal);
    return this.choose<'default' | 'restricted'>([
      [T.RESTRICTED, () => 'restricted'],
      [T.DEFAULT, () => 'default'],
    ]);
  }

  /** The clauses of CREATE DATABASE; `take` gets each as it comes. */
  protected databaseRegions(take: (clause: Partial<DatabaseRegionsClause>) => void): Alternative<void>[] {
    const names = (): void => {
      this.has(T.Equal);
      take({ names: this.list(() => this.regionName()) });
    };
    return [
      [T.PRIMARY, () => take({ primary: this.regionAfter(T.REGION) })],
      [T.SECONDARY, () => take({ secondary: this.regionAfter(T.REGION) })],
      [T.REGIONS, names],
      [T.REGION, names],
      [T.SURVIVE, () => take({ survive: this.goal() })],
      [T.PLACEMENT, () => take({ placement: this.placement() })],
    ];
  }

  /** The forms of ALTER DATABASE. */
  protected regionActions(): Alternative<AlterDatabase['action']>[] {
    const superRegions = () => this.refuse('super regions') as never;
    return [
      [[T.SET, T.PRIMARY], () => ({ type: 'primaryRegion', region: this.regionAfter(T.REGION) })],
      [[T.PRIMARY], () => ({ type: 'primaryRegion', region: this.regionAfter(T.REGION) })],
      [[T.SET, T.SECONDARY, T.REGION], () => ({ type: 'secondaryRegion', region: this.regionAfter() })],
      [[T.DROP, T.SECONDARY, T.REGION], () => ({ type: 'dropSecondaryRegion', ifExists: this.ifExists() })],
      [[T.ADD, T.REGION], () => ({ type: 'addRegion', ifNotExists: this.ifNotExists(), region: this.regionName() })],
      [[T.DROP, T.REGION], () => ({ type: 'dropRegion', ifExists: this.ifExists(), region: this.regionName() })],
      [T.SURVIVE, () => ({ type: 'survive', goal: this.goal() })],
      [T.PLACEMENT, () => ({ type: 'placement', placement: this.placement() })],
      [[T.ADD, T.SUPER, T.REGION], superRegions],
      [[T.DROP, T.SUPER, T.REGION], superRegions],
      [[T.ALTER, T.SUPER, T.REGION], superRegions],
    ];
  }

  /** What follows LOCALITY. */
  protected localityClause(): TableLocalityClause {
    return this.choose<TableLocalityClause>([
      [T.GLOBAL, () => ({ type: 'global' })],
      [[T.REGIONAL, T.BY, T.ROW], () => ({ type: 'row', column: this.when(T.AS, () => this.name()) })],
      [[T.REGIONAL, T.BY, T.TABLE], () => ({ type: 'table', region: this.homeRegion() })],
      [T.REGIONAL, () => ({ type: 'table', region: this.homeRegion() })],
    ]);
  }

  private homeRegion(): Name | undefined {
    return this.when(T.IN, () => this.choose<Name | undefined>([[[T.PRIMARY, T.REGION], () => undefined]], () => this.regionName()));
  }
}
