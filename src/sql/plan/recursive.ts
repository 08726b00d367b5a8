/** Which WITH RECURSIVE queries really recurse. */
import type { QueryBody, SelectStatement } from '../parse/ast.ts';

/** `first UNION [ALL] step` where step names the table itself. */
export function recursiveBody(query: SelectStatement, name: string): Extract<QueryBody, { kind: 'setOperation' }> | undefined {
  const { body } = query;
  if (body.kind !== 'setOperation' || body.op !== 'union' || query.orderBy.length > 0 || query.limit) return undefined;
  return JSON.stringify(body.right, (_, value) => (typeof value === 'bigint' ? String(value) : value)).includes(
    `"text":${JSON.stringify(name)}`,
  )
    ? body
    : undefined;
}
