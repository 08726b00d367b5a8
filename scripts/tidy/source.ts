/**
 * Source text as the tidy rules see it: without comments, and its imports.
 *
 * A scanner of a few lines stands in for a parser. It knows comments, strings, templates and
 * regular expressions as far as formatted code needs; everything that it blanks keeps its place,
 * so that offsets and line numbers stay true.
 */

/** A file with its path from the project root, in `/`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly line: number;
  /** As written: `./span.ts`, `node:fs`, `xstate`. */
  readonly specifier: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** `path:line: message`, as editors and terminals link it. */
export function formatViolation({ path, line, message }: Violation): string {
  return `${path}:${line}: ${message}`;
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

const TOKEN =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")|(?<template>`)|(?<brace>[{}])|(?<slash>\/)/g;
const REGEXP = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const TEMPLATE_PART = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?<end>`|\$\{)/y;

/** The text with the inside of comments, strings, templates and regular expressions made blank. */
export function codeOf(text: string): string {
  const blank = (from: number, to: number) => {
    code += text.slice(done, from) + text.slice(from, to).replace(/[^\n]/g, ' ');
    done = to;
  };
  let code = '';
  let done = 0;
  // Depth of braces in each template expression that is open, innermost last.
  const depths: number[] = [];
  const readTemplate = (from: number): number => {
    TEMPLATE_PART.lastIndex = from;
    const part = TEMPLATE_PART.exec(text);
    if (part === null) return text.length;
    const end = TEMPLATE_PART.lastIndex;
    blank(from, end - (part.groups?.end?.length ?? 0));
    if (part.groups?.end === '${') depths.push(0);
    return end;
  };

  const token = new RegExp(TOKEN);
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const { comment, string, template, brace, slash } = match.groups ?? {};
    const start = match.index;
    if (comment !== undefined) blank(start, token.lastIndex);
    else if (string !== undefined) blank(start + 1, token.lastIndex - 1);
    else if (template !== undefined) token.lastIndex = readTemplate(token.lastIndex);
    else if (brace === '{' && depths.length > 0) depths[depths.length - 1]!++;
    else if (brace === '}' && depths.length > 0) {
      if (depths.at(-1) === 0) {
        depths.pop();
        token.lastIndex = readTemplate(token.lastIndex);
      } else depths[depths.length - 1]!--;
    } else if (slash !== undefined && startsRegExp(code + text.slice(done, start))) {
      REGEXP.lastIndex = start;
      if (REGEXP.test(text)) {
        blank(start + 1, REGEXP.lastIndex);
        token.lastIndex = REGEXP.lastIndex;
      }
    }
  }
  return code + text.slice(done);
}

/** After a value a slash divides; after an operator, an opening bracket or a keyword it opens a regular expression. */
function startsRegExp(before: string): boolean {
  return /(?:^|[([{};,=:!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|delete|void|throw|await|yield|else|do))\s*$/.test(before.slice(-200));
}

const IMPORT =
  /(?<keyword>\b(?:import|export)\b)(?:\s+(?:type\s+)?(?:[\w$*{][\w$\s,{}*]*?)\sfrom\s*|\s*\(\s*|\s+)(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g;

/** Every static import, re-export, `import('…')` and side-effect import, type-only ones too. */
export function importsOf({ text }: SourceFile): Import[] {
  const code = codeOf(text);
  const imports: Import[] = [];
  for (const match of text.matchAll(IMPORT)) {
    // The keyword lies in code, not in a comment or a string.
    if (!code.startsWith(match.groups?.keyword ?? '', match.index)) continue;
    imports.push({ line: lineAt(text, match.index), specifier: match.groups?.specifier ?? '' });
  }
  return imports;
}

/** The path that a relative specifier in `from` means; undefined for a package or a built-in. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
