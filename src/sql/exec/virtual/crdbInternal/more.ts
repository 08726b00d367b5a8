/**
 * crdb_internal: privileges on databases, types as statements, row counts, comments of virtual tables; and what
 * a single process has none of (leases, gossip, partitions, traces): their columns, and truly no rows.
 */
import { createFunctionText } from '../../functionText.ts';
import { indexSpan } from '../../../../catalog/indexSpans.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';
import { createTypeText } from '../../ddl/types.ts';
import { emptyTables, inSchema, required } from '../defineTable.ts';

const table = inSchema('crdb_internal');

const databasePrivileges = table(
  'cluster_database_privileges',
  { database_name: required(Type.String), grantee: required(Type.String), privilege_type: required(Type.String) },
  function* (view) {
    for (const database of view.databases) {
      for (const { grantee, privileges } of database.privileges.grants) {
        for (const privilege_type of privileges) yield { database_name: database.name, grantee, privilege_type };
      }
    }
  },
);

const createTypeStatements = table(
  'create_type_statements',
  {
    database_id: Type.Int8,
    database_name: Type.String,
    schema_name: Type.String,
    descriptor_id: Type.Int8,
    descriptor_name: Type.String,
    create_statement: Type.String,
    enum_members: arrayOf(Type.String),
  },
  function* (view) {
    for (const type of view.types()) {
      const [database_name, schema_name = 'public'] = view.snapshot.fullName(type);
      yield {
        database_id: type.parentId,
        database_name,
        schema_name,
        descriptor_id: type.id,
        descriptor_name: type.name,
        create_statement: createTypeText(type, schema_name),
        enum_members: type.members,
      };
    }
  },
);

const createFunctionStatements = table(
  'create_function_statements',
  {
    database_id: Type.Int8,
    database_name: Type.String,
    schema_id: Type.Int8,
    schema_name: Type.String,
    function_id: Type.Int8,
    function_name: Type.String,
    create_statement: Type.String,
  },
  function* (view) {
    for (const one of view.functions()) {
      const [database_name, schema_name] = view.snapshot.fullName(one);
      yield {
        ...{ database_id: one.parentId, database_name, schema_id: one.schemaId, schema_name },
        ...{ function_id: one.id, function_name: one.name, create_statement: createFunctionText(one, view.snapshot) },
      };
    }
  },
);

/** Counts are exact, and always there: no statistics have to be collected first. */
const rowStatistics = table(
  'table_row_statistics',
  { table_id: required(Type.Int8), table_name: required(Type.String), estimated_row_count: Type.Int8 },
  function* (view) {
    for (const { table: relation } of view.tables()) {
      const { liveKeys } = view.context.engine.kv.stats(indexSpan(relation, relation.primaryIndex));
      yield {
        table_id: relation.id,
        table_name: relation.name,
        estimated_row_count: Math.round(liveKeys / Math.max(1, relation.families.length)),
      };
    }
  },
);

const predefinedComments = table(
  'predefined_comments',
  { type: Type.Int8, object_id: Type.Int8, sub_id: Type.Int8, comment: Type.String },
  function* (view) {
    // 1: of a table, as in system.comments.
    for (const { oid, comment } of view.virtualTables) if (comment !== undefined) yield { type: 1, object_id: oid, sub_id: 0, comment };
  },
);

const none = emptyTables('crdb_internal', {
  gossip_alerts: {
    node_id: required(Type.Int8),
    store_id: Type.Int8,
    category: required(Type.String),
    description: required(Type.String),
    value: required(Type.Float8),
  },
  gossip_network: { source_id: required(Type.Int8), target_id: required(Type.Int8) },
  invalid_objects: { id: Type.Int8, database_name: Type.String, schema_name: Type.String, obj_name: Type.String, error: Type.String },
  leases: {
    node_id: required(Type.Int8),
    table_id: required(Type.Int8),
    name: required(Type.String),
    parent_id: required(Type.Int8),
    expiration: required(Type.Timestamp),
    deleted: required(Type.Bool),
  },
  node_inflight_trace_spans: {
    trace_id: required(Type.Int8),
    parent_span_id: required(Type.Int8),
    span_id: required(Type.Int8),
    goroutine_id: required(Type.Int8),
    start_time: Type.TimestampTz,
    duration: Type.Interval,
    operation: Type.String,
  },
  partitions: {
    table_id: required(Type.Int8),
    index_id: required(Type.Int8),
    parent_name: Type.String,
    name: required(Type.String),
    columns: required(Type.Int8),
    column_names: Type.String,
    list_value: Type.String,
    range_value: Type.String,
    zone_id: Type.Int8,
    subzone_id: Type.Int8,
  },
  session_trace: {
    span_idx: required(Type.Int8),
    message_idx: required(Type.Int8),
    timestamp: required(Type.TimestampTz),
    duration: Type.Interval,
    operation: Type.String,
    loc: required(Type.String),
    tag: required(Type.String),
    message: required(Type.String),
    age: required(Type.Interval),
  },
});

export const moreTables = [createFunctionStatements, createTypeStatements, databasePrivileges, predefinedComments, rowStatistics, ...none];
