/**
 * pg_extension: the schema in which CockroachDB has what PostgreSQL's extensions bring. Varve has no
 * geometries, so PostGIS's tables of them are there without rows, for the queries that look.
 */
import { Type } from '../../../catalog/type.ts';
import { emptyTables } from './defineTable.ts';

const PLACE = { f_table_catalog: Type.Name, f_table_schema: Type.Name, f_table_name: Type.Name } as const;
const KIND = { coord_dimension: Type.Int8, srid: Type.Int8, type: Type.String } as const;

export const pgExtensionTables = emptyTables('pg_extension', {
  geography_columns: { ...PLACE, f_geography_column: Type.Name, ...KIND },
  geometry_columns: { ...PLACE, f_geometry_column: Type.Name, ...KIND },
  spatial_ref_sys: { srid: Type.Int8, auth_name: Type.String, auth_srid: Type.Int8, srtext: Type.String, proj4text: Type.String },
});
