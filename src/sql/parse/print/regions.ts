/** Regions of databases and localities of tables as SQL text. */
import type { AlterDatabase, DatabaseRegionsClause, TableLocalityClause } from '../ast.ts';
import { printName } from './names.ts';

/** The clauses of CREATE DATABASE, each with a space before it. */
export function printDatabaseRegions({ primary, secondary, names, survive, placement }: DatabaseRegionsClause): string {
  return [
    primary === undefined ? '' : ` PRIMARY REGION ${printName(primary)}`,
    names === undefined ? '' : ` REGIONS = ${names.map(printName).join(', ')}`,
    survive === undefined ? '' : ` SURVIVE ${survive.toUpperCase()} FAILURE`,
    placement === undefined ? '' : ` PLACEMENT ${placement.toUpperCase()}`,
    secondary === undefined ? '' : ` SECONDARY REGION ${printName(secondary)}`,
  ].join('');
}

type RegionAction = Exclude<AlterDatabase['action'], { readonly type: 'rename' | 'owner' | 'set' | 'reset' }>;

export function printRegionAction(action: RegionAction): string {
  switch (action.type) {
    case 'primaryRegion':
      return `PRIMARY REGION ${printName(action.region)}`;
    case 'secondaryRegion':
      return `SET SECONDARY REGION ${printName(action.region)}`;
    case 'dropSecondaryRegion':
      return `DROP SECONDARY REGION${action.ifExists ? ' IF EXISTS' : ''}`;
    case 'addRegion':
      return `ADD REGION ${action.ifNotExists ? 'IF NOT EXISTS ' : ''}${printName(action.region)}`;
    case 'dropRegion':
      return `DROP REGION ${action.ifExists ? 'IF EXISTS ' : ''}${printName(action.region)}`;
    case 'survive':
      return `SURVIVE ${action.goal.toUpperCase()} FAILURE`;
    case 'placement':
      return `PLACEMENT ${action.placement.toUpperCase()}`;
  }
}

export function printLocality(locality: TableLocalityClause): string {
  if (locality.type === 'global') return 'LOCALITY GLOBAL';
  if (locality.type === 'row') return `LOCALITY REGIONAL BY ROW${locality.column === undefined ? '' : ` AS ${printName(locality.column)}`}`;
  return `LOCALITY REGIONAL BY TABLE IN ${locality.region === undefined ? 'PRIMARY REGION' : printName(locality.region)}`;
}
