/**
 * information_schema: the SQL standard's views of the catalog, in PostgreSQL's form.
 *
 * A query sees the database it names (`db.information_schema.tables`) or the session's, and of it
 * what its user has privileges on.
 */
import { Type } from '../../../../catalog/type.ts';
import { emptyTables } from '../defineTable.ts';
import { accessTables } from './access.ts';
import { constraintTables } from './constraints.ts';
import { relationTables } from './relations.ts';
import { routineTables } from './routines.ts';

/** What Varve has none of. */
const empty = emptyTables('information_schema', {
  collations: { collation_catalog: Type.String, collation_schema: Type.String, collation_name: Type.String, pad_attribute: Type.String },
  collation_character_set_applicability: {
    collation_catalog: Type.String,
    collation_schema: Type.String,
    collation_name: Type.String,
    character_set_catalog: Type.String,
    character_set_schema: Type.String,
    character_set_name: Type.String,
  },
  domains: { domain_catalog: Type.String, domain_schema: Type.String, domain_name: Type.String, data_type: Type.String },
  domain_constraints: {
    constraint_catalog: Type.String,
    constraint_schema: Type.String,
    constraint_name: Type.String,
    domain_catalog: Type.String,
    domain_schema: Type.String,
    domain_name: Type.String,
    is_deferrable: Type.String,
    initially_deferred: Type.String,
  },
  element_types: {
    object_catalog: Type.String,
    object_schema: Type.String,
    object_name: Type.String,
    object_type: Type.String,
    collection_type_identifier: Type.String,
    data_type: Type.String,
  },
  triggers: {
    trigger_catalog: Type.String,
    trigger_schema: Type.String,
    trigger_name: Type.String,
    event_manipulation: Type.String,
    event_object_catalog: Type.String,
    event_object_schema: Type.String,
    event_object_table: Type.String,
    action_order: Type.Int4,
    action_condition: Type.String,
    action_statement: Type.String,
    action_orientation: Type.String,
    action_timing: Type.String,
  },
});

export const informationSchemaTables = [...accessTables, ...constraintTables, ...empty, ...relationTables, ...routineTables];
