/**
 * Type names, as in column definitions and casts. Plain code on the cursor.
 *
 * Spellings of several words come out as one: CHARACTER VARYING is `varchar`, DOUBLE PRECISION is
 * `float8`, TIMESTAMP WITH TIME ZONE is `timestamptz`. What a name means is the catalog's business.
 */
import type { Name, ObjectName, TypeName } from '../ast.ts';
import { nameClass, T } from '../tokens.ts';
import type { Cursor } from './cursor.ts';

const single = (text: string, pos: number): ObjectName => ({ parts: [{ text, pos }], pos });

/** A type with its arguments, array marks and collation. */
export function parseTypeName(c: Cursor): TypeName {
  const pos = c.pos;
  const simple = parseSimpleType(c);
  let collation: string | undefined;
  let isArray = false;
  for (;;) {
    if (c.at(T.LBracket)) {
      const token = c.next();
      if (c.at(T.Integer)) c.next();
      c.expect(T.RBracket);
      if (isArray) throw c.unimplemented('nested arrays are not supported', token);
      isArray = true;
    } else if (c.accept(T.ARRAY)) {
      if (isArray) throw c.unimplemented('nested arrays are not supported');
      isArray = true;
    } else break;
  }
  return { kind: 'typeName', ...simple, isArray, collation, pos };
}

type SimpleType = Pick<TypeName, 'name' | 'args' | 'intervalFields'>;

/** A type without array mark or collation: what may stand before a string literal. */
function parseSimpleType(c: Cursor): SimpleType {
  const token = c.token;
  const pos = token.startOffset;
  switch (token.type) {
    case T.CHARACTER:
    case T.CHAR: {
      c.next();
      const varying = c.accept(T.VARYING);
      return { name: single(varying ? 'varchar' : 'char', pos), args: parseArgs(c) };
    }
    case T.NATIONAL: {
      if (!c.atAt(1, T.CHARACTER) && !c.atAt(1, T.CHAR)) break;
      c.next();
      c.next();
      const varying = c.accept(T.VARYING);
      return { name: single(varying ? 'varchar' : 'char', pos), args: parseArgs(c) };
    }
    case T.BIT: {
      c.next();
      const varying = c.accept(T.VARYING);
      return { name: single(varying ? 'varbit' : 'bit', pos), args: parseArgs(c) };
    }
    case T.DOUBLE:
      if (!c.atAt(1, T.PRECISION)) break;
      c.next();
      c.next();
      return { name: single('float8', pos), args: [] };
    case T.TIME:
    case T.TIMESTAMP: {
      c.next();
      const args = parseArgs(c);
      let suffix = '';
      if ((c.at(T.WITH) || c.at(T.WITHOUT)) && c.atAt(1, T.TIME)) {
        if (c.next().type === T.WITH) suffix = 'tz';
        c.next();
        c.expect(T.ZONE);
      }
      return { name: single(`${token.image}${suffix}`, pos), args };
    }
    case T.INTERVAL: {
      c.next();
      const args = parseArgs(c);
      const intervalFields = args.length === 0 ? parseIntervalFields(c) : undefined;
      return { name: single('interval', pos), args, intervalFields };
    }
  }
  const kind = nameClass(token);
  if (kind === undefined || (kind !== 'unreserved' && !builtInTypeKeyword(c))) throw c.error();
  const image = c.next().image;
  const first: Name = { text: (c.hasShortInts && !c.at(T.Dot) && SHORT_INTS.get(image)) || image, pos };
  const parts = [first];
  while (parts.length < 3 && c.at(T.Dot)) {
    c.next();
    parts.push(c.label());
  }
  return { name: { parts, pos }, args: parseArgs(c) };
}

/** What INT and SERIAL mean where `default_int_size` is 4. */
const SHORT_INTS: ReadonlyMap<string, string> = new Map([
  ['int', 'int4'],
  ['integer', 'int4'],
  ['serial', 'serial4'],
]);

const builtInTypes = new Set([
  'bigint', 'boolean', 'dec', 'decimal', 'float', 'int', 'integer', 'numeric', 'real', 'smallint', 'string', 'timestamptz', 'timetz', 'varbit', 'varchar',
]); // biome-ignore format: one line reads better
function builtInTypeKeyword(c: Cursor): boolean {
  return builtInTypes.has(c.token.image);
}

function parseArgs(c: Cursor): number[] {
  if (!c.accept(T.LParen)) return [];
  const args = c.list(() => Number(c.expect(T.Integer).image));
  c.expect(T.RParen);
  return args;
}

const intervalUnits = [T.YEAR, T.MONTH, T.DAY, T.HOUR, T.MINUTE, T.SECOND];

/** `YEAR TO MONTH` and the like; undefined when none follows. */
export function parseIntervalFields(c: Cursor): string | undefined {
  if (!intervalUnits.includes(c.token.type)) return undefined;
  const from = c.next().image.toUpperCase();
  if (!c.at(T.TO)) return from;
  c.next();
  if (!intervalUnits.includes(c.token.type)) throw c.error();
  return `${from} TO ${c.next().image.toUpperCase()}`;
}
