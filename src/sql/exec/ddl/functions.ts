/**
 * CREATE, ALTER and DROP FUNCTION, in LANGUAGE SQL.
 *
 * A function keeps its body as texts with full names, as a view keeps its query (viewText.ts), and
 * lists the relations, types and functions it uses; each of them lists it. A body is planned over its
 * parameters before it is stored, so that what is there can be called. Calls put it in their place
 * (expr/userCall.ts); tables carry the functions of their stored expressions (typeReferences.ts).
 *
 *   F1  no function calls itself: a body uses what is there already, and replacing one looks for cycles
 *   F2  overloads differ in the types of their parameters; those of one name are numbered without a gap
 *   F3  what a function uses cannot be dropped or renamed, and a used function neither (2BP01)
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { type FunctionDescriptor, type FunctionParam, functionPlace, updated } from '../../../catalog/descriptor.ts';
import { userPartOf } from '../../../catalog/enumType.ts';
import { functionPrivileges } from '../../../catalog/privileges.ts';
import { type ColumnType, familyName, typesEqual, typesEquivalent } from '../../../catalog/type.ts';
import { canCast } from '../../expr/castFunction.ts';
import { parameterSource } from '../../expr/userCall.ts';
import { parameterName, type UserFunction } from '../../expr/userFunction.ts';
import type { AlterFunction, CreateFunction, DropFunction, Expr, FunctionOptions, SelectStatement } from '../../parse/ast.ts';
import { parseQuery, parseStatements } from '../../parse/parse.ts';
import { printSelect } from '../../parse/printer.ts';
import { fullTypeName } from '../../plan/carriedFunctions.ts';
import type { PlanColumn } from '../../plan/plan.ts';
import { planStatement } from '../../plan/planner.ts';
import { planEnvironment } from '../planEnvironment.ts';
import { partsOf, type SchemaChange } from './common.ts';
import { schemaToMoveTo } from './databases.ts';
import { functionNamed, dropFunctions, leaveName, refuseUsed, sameParameters } from './functionNames.ts';
import { requireOwner, setOwner } from './ownership.ts';
import { rewriteTree } from './storedTexts.ts';
import { noteDependent } from './dependents.ts';
import { checkContents, Dependencies } from './viewText.ts';

const ARGUMENTS_MAX = 100;

export async function createFunction(change: SchemaChange, stmt: CreateFunction): Promise<void> {
  requireLanguage(stmt.language);
  const { schema, name } = change.target(stmt.name);
  if (schema.descriptor?.temporary) throw new StatementError(SqlState.FeatureNotSupported, 'temporary functions are not supported');
  const params = parametersOf(change, stmt);
  const { type: returns } = change.columnType(stmt.returns);
  const overloads = change.snapshot.functionsNamed(schema.database.id, schema.id, name);
  const taken = overloads.find((one) => sameParameters(one.params, params));
  if (taken && !stmt.orReplace) {
    throw new StatementError(SqlState.DuplicateFunction, `function "${name}" already exists with same argument types`);
  }
  if (taken) checkReplaceable(change, taken, params, returns, stmt.returnsSet);
  const volatility = stmt.options.volatility ?? 'volatile';
  const signature = { schema: schema.name, name, params, returns, ...(stmt.returnsSet && { returnsSet: true as const }), volatility };
  const body = bodyOf(change, schema, signature, stmt);
  const fields = {
    params,
    returns,
    volatility,
    statements: body.statements,
    dependsOnIds: body.dependsOnIds,
    columnUses: body.columnUses,
    typeIds: body.typeIds,
    functionIds: body.functionIds,
  };
  const flags = { ...(stmt.returnsSet && { returnsSet: true as const }), ...flagsOf(stmt.options) };
  if (taken) {
    refuseCycle(change, taken, body.functionIds);
    const { isStrict: _strict, isLeakproof: _leakproof, ...kept } = change.snapshot.functionById(taken.id) ?? taken;
    await change.write({ ...kept, ...fields, ...flags });
    await noteDependent(change, taken.id, taken.dependsOnIds, body.dependsOnIds);
    await refreshTables(change, taken.id);
    return;
  }
  const id = await change.allocateId();
  const slot = overloads.length;
  const place = functionPlace(schema.database.id, schema.id, name, slot);
  await change.writeName(place.parentId, place.schemaId, place.name, id);
  await change.write({
    kind: 'function',
    id,
    name,
    parentId: schema.database.id,
    schemaId: schema.id,
    slot,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: functionPrivileges(change.context.user),
    referencedByIds: [],
    ...fields,
    ...flags,
  });
  await noteDependent(change, id, [], body.dependsOnIds);
}

function requireLanguage(language: string): void {
  if (language === 'sql') return;
  if (language === 'plpgsql') {
    throw new StatementError(SqlState.FeatureNotSupported, 'functions in LANGUAGE plpgsql are not supported', {
      hint: 'write it in LANGUAGE SQL',
    });
  }
  throw new StatementError(SqlState.UndefinedObject, `language "${language}" does not exist`);
}

function flagsOf({ isStrict, isLeakproof }: FunctionOptions): { isStrict?: true; isLeakproof?: true } {
  return { ...(isStrict && { isStrict }), ...(isLeakproof && { isLeakproof }) } as { isStrict?: true; isLeakproof?: true };
}

function parametersOf(change: SchemaChange, { params }: CreateFunction): FunctionParam[] {
  if (params.length > ARGUMENTS_MAX) {
    throw new StatementError(SqlState.TooManyArguments, `functions cannot have more than ${ARGUMENTS_MAX} arguments`);
  }
  const seen = new Set<string>();
  return params.map(({ name, type }) => {
    if (name && seen.has(name.text)) {
      throw new StatementError(SqlState.InvalidFunctionDefinition, `parameter name "${name.text}" used more than once`);
    }
    if (name) seen.add(name.text);
    const { type: own } = change.columnType(type);
    if (own.family === 'void')
      throw new StatementError(SqlState.InvalidFunctionDefinition, 'SQL functions cannot have arguments of type VOID');
    return { ...(name && { name: name.text }), type: own };
  });
}

function checkReplaceable(
  change: SchemaChange,
  taken: FunctionDescriptor,
  params: readonly FunctionParam[],
  returns: ColumnType,
  returnsSet: boolean,
): void {
  requireOwner(change, taken);
  if (!typesEqual(taken.returns, returns) || (taken.returnsSet === true) !== returnsSet) {
    throw new StatementError(SqlState.InvalidFunctionDefinition, 'cannot change return type of existing function', {
      hint: `use DROP FUNCTION ${taken.name} first`,
    });
  }
  const renamed = taken.params.find((param, i) => param.name !== undefined && param.name !== params[i]?.name);
  if (renamed) {
    throw new StatementError(SqlState.InvalidFunctionDefinition, `cannot change name of input parameter "${renamed.name}"`, {
      hint: `use DROP FUNCTION ${taken.name} first`,
    });
  }
}

function refuseCycle(change: SchemaChange, replaced: FunctionDescriptor, ids: readonly number[]): void {
  for (const id of ids) {
    if (id === replaced.id) throw new StatementError(SqlState.InvalidFunctionDefinition, `function "${replaced.name}" cannot call itself`);
    refuseCycle(change, replaced, change.snapshot.functionById(id)?.functionIds ?? []);
  }
}

/** Tables carry a function as it is now, and those that call it through others too. */
async function refreshTables(change: SchemaChange, id: number): Promise<void> {
  const tables = (change.snapshot.functionById(id)?.referencedByIds ?? []).flatMap((user) => {
    const table = change.snapshot.tableById(user);
    return table && table.state !== 'DROP' && !table.view ? [table] : [];
  });
  if (tables.length > 0) await change.write(...tables);
}

// ---- the body -----------------------------------------------------------------------------------

interface Body {
  readonly statements: readonly string[];
  readonly dependsOnIds: readonly number[];
  readonly columnUses: FunctionDescriptor['columnUses'];
  readonly typeIds: readonly number[];
  readonly functionIds: readonly number[];
}

type Signature = Pick<FunctionDescriptor, 'name' | 'params' | 'returns' | 'volatility' | 'returnsSet'> & { readonly schema: string };

/** The queries of a body, planned and with full names. 0A000 for statements that change something, 42P13 for a result of another type. */
function bodyOf(change: SchemaChange, schema: ResolvedSchema, signature: Signature, stmt: CreateFunction): Body {
  const parsed = parseStatements(stmt.body).map(({ ast }) => ast);
  const noted = new Dependencies(change);
  const caller = over(change, signature);
  let last: readonly PlanColumn[] | undefined;
  const statements = parsed.map((one): string => {
    if (one.kind !== 'select') {
      throw new StatementError(
        SqlState.FeatureNotSupported,
        `${one.kind.toUpperCase()} usage inside a function definition is not supported`,
        {
          hint: 'a body is made of queries',
        },
      );
    }
    const query = withParameters(one, signature);
    checkContents(query);
    last = planBody(change, noted, caller, query);
    return printSelect(rewriteTree(query, noted.rewrite), {});
  });
  checkResult(signature, last);
  const { dependsOnIds, columnUses, typeIds, functionIds = [] } = noted.definition('');
  for (const id of noted.databaseIds) {
    if (id === schema.database.id) continue;
    const other = change.snapshot.databaseById(id)?.name ?? `[${id}]`;
    throw new StatementError(SqlState.FeatureNotSupported, 'the function cannot refer to other databases', {
      detail: `it names database "${other}"`,
    });
  }
  if (dependsOnIds.some((id) => change.snapshot.tableById(id)?.temporary)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'a function cannot read temporary relations');
  }
  const own = [...signature.params.map(({ type }) => type), signature.returns].map((type) => userPartOf(type)?.typeId);
  const types = new Set([...typeIds, ...own.filter((id) => id !== undefined)]);
  return { statements, dependsOnIds, columnUses, typeIds: [...types].sort((a, b) => a - b), functionIds };
}

/** The signature as something to call, for its row of parameters. */
function over(change: SchemaChange, signature: Signature): UserFunction {
  const placeOf = ({ typeId }: ColumnType) => {
    const type = typeId === undefined ? undefined : change.snapshot.typeById(typeId);
    return type && change.snapshot.fullName(type);
  };
  return {
    ...signature,
    id: 0,
    params: signature.params.map(({ name, type }, i) => ({ name: parameterName(name, i), type, typeName: fullTypeName(type, placeOf) })),
    returnsName: fullTypeName(signature.returns, placeOf),
    returnsSet: signature.returnsSet === true,
    isStrict: false,
    statements: [],
    expression: undefined,
  };
}

/** `$n` as the column of that parameter. 42P02 where there is none. */
function withParameters(query: SelectStatement, { name, params }: Signature): SelectStatement {
  return rewriteTree(query, (node) => {
    if (node['kind'] !== 'placeholder') return undefined;
    const index = Number(node['index']) - 1;
    if (index >= params.length || index < 0) throw new StatementError(SqlState.UndefinedParameter, `there is no parameter $${index + 1}`);
    const parts = [name, parameterName(params[index]?.name, index)].map((text) => ({ text, pos: 0 }));
    return { kind: 'column', parts, pos: node['pos'] };
  });
}

/** The columns of a query of the body, whose names are noted. */
function planBody(change: SchemaChange, noted: Dependencies, caller: UserFunction, query: SelectStatement): readonly PlanColumn[] {
  const { context, snapshot, roles } = change;
  const env = planEnvironment(context, snapshot, roles, { notes: noted });
  if (caller.params.length === 0) return planStatement(env, query, [], noted).columns;
  const nulls = caller.params.map((): Expr => ({ kind: 'null', pos: 0 }));
  const around = parseQuery('SELECT body.* FROM (VALUES (1)) AS parameters, LATERAL (VALUES (1)) AS body');
  const { body } = around;
  if (body.kind !== 'selectCore') return [];
  const [, second] = body.from;
  const from = [parameterSource(caller, nulls), ...(second?.kind === 'subquerySource' ? [{ ...second, query }] : [])];
  return planStatement(env, { ...around, body: { ...body, from } }, [], noted).columns;
}

function checkResult({ returns, returnsSet }: Signature, columns: readonly PlanColumn[] | undefined): void {
  if (returns.family === 'void') {
    if (returnsSet) throw new StatementError(SqlState.FeatureNotSupported, 'RETURNS SETOF VOID is not supported');
    return;
  }
  const mismatch = (detail: string): StatementError =>
    new StatementError(SqlState.InvalidFunctionDefinition, `return type mismatch in function declared to return ${familyName(returns)}`, {
      detail,
    });
  if (!columns) throw mismatch("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.");
  const [only] = columns;
  if (!only || columns.length > 1) throw mismatch(`Final statement returns ${columns.length === 0 ? 'no' : 'too many'} columns.`);
  const isFit = typesEquivalent(only.type, returns) || only.type.family === 'unknown' || canCast(only.type, returns, 'assignment');
  if (!isFit) throw mismatch(`Actual return type is ${familyName(only.type)}`);
}

export async function dropFunction(change: SchemaChange, stmt: DropFunction): Promise<void> {
  if (stmt.behavior === 'cascade') throw new StatementError(SqlState.FeatureNotSupported, 'DROP FUNCTION ... CASCADE is not supported');
  const doomed: FunctionDescriptor[] = [];
  for (const name of stmt.functions) {
    const found = functionNamed(change, name, stmt.ifExists);
    if (found) {
      requireOwner(change, found);
      doomed.push(found);
    } else change.context.notice(`function ${partsOf(name.name).join('.')}() does not exist, skipping`);
  }
  await dropFunctions(change, doomed);
}

export async function alterFunction(change: SchemaChange, stmt: AlterFunction): Promise<void> {
  const found = functionNamed(change, stmt.function);
  if (!found) return;
  const { action } = stmt;
  if (action.type === 'owner') return setOwner(change, found, action.owner);
  requireOwner(change, found);
  const database = change.snapshot.databaseById(found.parentId);
  switch (action.type) {
    case 'rename':
      return moveTo(change, found, found.schemaId, action.newName.text, `cannot rename function "${found.name}"`);
    case 'setSchema': {
      if (!database) return;
      const to = schemaToMoveTo(change, database, action.schema.text, found.schemaId);
      return moveTo(change, found, to.id, found.name, `cannot set schema for function "${found.name}"`);
    }
    case 'options': {
      const { options } = action;
      const { isStrict: strict, isLeakproof: leakproof, ...rest } = found;
      const flags = flagsOf({ isStrict: options.isStrict ?? strict === true, isLeakproof: options.isLeakproof ?? leakproof === true });
      await change.write({ ...rest, ...flags, volatility: options.volatility ?? found.volatility });
      await refreshTables(change, found.id);
    }
  }
}

/** Under another name, which texts that name the old one hinder (2BP01); 42723 where it is taken with these parameters. */
async function moveTo(change: SchemaChange, found: FunctionDescriptor, schemaId: number, name: string, what: string): Promise<void> {
  if (schemaId === found.schemaId && name === found.name) return;
  refuseUsed(change, found, what, new Set());
  const there = change.snapshot.functionsNamed(found.parentId, schemaId, name);
  if (there.some((one) => sameParameters(one.params, found.params))) {
    throw new StatementError(SqlState.DuplicateFunction, `function "${name}" already exists with same argument types`);
  }
  await leaveName(change, found);
  const place = functionPlace(found.parentId, schemaId, name, there.length);
  await change.writeName(place.parentId, place.schemaId, place.name, found.id);
  await change.write(updated(change.snapshot.functionById(found.id) ?? found, { name, schemaId, slot: there.length }));
}
