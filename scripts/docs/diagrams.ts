/**
 * Railroad diagrams from the recorded grammar: one for each statement, and one for each rule that
 * several of them share.
 *
 * A family's grammar is a tree of alternatives whose first words name the statements; it is cut into
 * statements where those words differ. What the grammar knows only to refuse it (`Refused`) is left out.
 */
import railroad from 'railroad-diagrams';

import { holes } from '../../src/sql/parse/grammar/base.ts';
import { grammarModels } from '../../src/sql/parse/grammar/model.ts';

interface Production {
  readonly type: string;
  readonly name?: string;
  readonly label?: string;
  readonly definition?: readonly Production[];
  readonly separator?: Production;
}

export interface StatementDiagram {
  /** `DROP TABLE`, or a rule's name. */
  readonly name: string;
  readonly isRule: boolean;
  readonly file: string;
  readonly svg: string;
}

const NON_TERMINALS: ReadonlySet<string> = new Set([
  ...holes,
  'Identifier',
  'QuotedIdentifier',
  'Integer',
  'Decimal',
  'String',
  'Bytes',
  'Placeholder',
]);

const STYLE =
  '<style>path{stroke-width:2;stroke:#555;fill:none}text{font:13px monospace;text-anchor:middle;fill:#111}' +
  'rect{stroke-width:2;stroke:#555;fill:#d9ead3}.non-terminal rect{fill:#fff2cc}svg{background:#fff}</style>';

const isRefused = (node: Production | undefined): boolean => node?.type === 'Terminal' && node.name === 'Refused';

/** A sequence without what is refused in it; undefined when all of it is. */
function accepted(nodes: readonly Production[]): Production[] | undefined {
  const kept: Production[] = [];
  for (const node of nodes) {
    if (isRefused(node)) {
      // `has(X)` and then a refusal: only X is refused.
      if (kept.at(-1)?.type !== 'Option') return undefined;
      kept.pop();
      continue;
    }
    if (node.type === 'Terminal' || node.type === 'NonTerminal') {
      kept.push(node);
      continue;
    }
    if (node.type === 'Alternation') {
      const definition = (node.definition ?? []).flatMap((alternative) => {
        const inner = accepted(alternative.definition ?? []);
        return inner ? [{ ...alternative, definition: inner }] : [];
      });
      if (definition.length === 0) return undefined;
      kept.push({ ...node, definition });
      continue;
    }
    const inner = accepted(node.definition ?? []);
    if (inner) kept.push({ ...node, definition: inner });
    else if (node.type === 'RepetitionMandatoryWithSeparator') return undefined;
    else kept.push({ ...node, type: 'Option', definition: [] });
  }
  return kept.filter((node) => node.type !== 'Option' || node.definition?.length !== 0);
}

type Drawing = ReturnType<typeof railroad.Skip>;

function draw(node: Production): Drawing {
  const all = (): Drawing => sequence(node.definition ?? []);
  switch (node.type) {
    case 'Terminal':
      return NON_TERMINALS.has(node.name ?? '') ? railroad.NonTerminal(node.label ?? '') : railroad.Terminal(node.label ?? node.name ?? '');
    case 'NonTerminal':
      return railroad.NonTerminal(node.name ?? '');
    case 'Alternation':
      return choice(node.definition ?? []);
    case 'Option':
      return railroad.Optional(all());
    case 'Repetition':
      return railroad.ZeroOrMore(all());
    case 'RepetitionMandatory':
      return railroad.OneOrMore(all());
    case 'RepetitionMandatoryWithSeparator':
      return railroad.OneOrMore(all(), node.separator ? draw(node.separator) : undefined);
    default:
      return all();
  }
}

function sequence(nodes: readonly Production[]): Drawing {
  return nodes.length === 0 ? railroad.Skip() : railroad.Sequence(...nodes.map(draw));
}

const choice = (alternatives: readonly Production[]): Drawing => railroad.Choice(0, ...alternatives.map(draw));

const isWord = (node: Production | undefined): node is Production =>
  node?.type === 'Terminal' && /^[A-Z]/.test(node.label ?? '') && !NON_TERMINALS.has(node.name ?? '');

/** What a statement is called: at most so many words. */
const NAME_WORDS_MAX = 2;

/** How many parts that may be absent stand at the beginning: WITH. */
function leadingOptions(nodes: readonly Production[]): number {
  const first = nodes.findIndex((node) => node.type !== 'Option');
  return Math.max(0, first);
}

/** Cuts a sequence into statements by the words that they begin with. */
function statementsOf(nodes: readonly Production[], rules: ReadonlyMap<string, Production>): (readonly Production[])[] {
  const from = leadingOptions(nodes);
  let words = 0;
  while (isWord(nodes[from + words])) words++;
  const next = nodes[from + words];
  if (words < NAME_WORDS_MAX && next) {
    const [head, tail] = [nodes.slice(0, from + words), nodes.slice(from + words + 1)];
    if (next.type === 'Alternation') {
      return (next.definition ?? []).flatMap((alternative) => statementsOf([...head, ...(alternative.definition ?? []), ...tail], rules));
    }
    const rule = next.type === 'NonTerminal' && words === 0 && nodes.length === 1 ? rules.get(next.name ?? '') : undefined;
    if (rule) return statementsOf(rule.definition ?? [], rules);
  }
  return [nodes];
}

function nameOf(nodes: readonly Production[]): string {
  const words: string[] = [];
  for (const node of nodes.slice(leadingOptions(nodes))) {
    if (!isWord(node) || words.length === NAME_WORDS_MAX) break;
    words.push(node.label ?? '');
  }
  return words.join(' ');
}

function rulesUsed(node: Production, found: Set<string>): void {
  if (node.type === 'NonTerminal') found.add(node.name ?? '');
  for (const part of node.definition ?? []) rulesUsed(part, found);
}

const fileOf = (name: string): string => `${name.replaceAll(/[^A-Za-z]+/g, '-')}.svg`;

function diagram(name: string, isRule: boolean, drawing: Drawing): StatementDiagram {
  const svg = railroad
    .Diagram(drawing)
    .toString()
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replaceAll(/<path d="M[\d.]+ [\d.]+[hv]-?0"><\/path>\n/g, '')
    .replace('>\n', `>${STYLE}\n`);
  return { name, isRule, file: fileOf(isRule ? `rule-${name}` : name.toLowerCase()), svg: `${svg.trim()}\n` };
}

/** All diagrams: statements by name, then the rules that they name. */
export function statementDiagrams(): StatementDiagram[] {
  const statements = new Map<string, (readonly Production[])[]>();
  const shared = new Map<string, Production>();
  for (const { family, productions } of grammarModels()) {
    const rules = new Map((productions as readonly Production[]).map((rule) => [rule.name ?? '', rule]));
    const root = rules.get('statement') ?? rules.get(family) ?? rules.get(`${family}Family`);
    if (!root) throw new Error(`family ${family} has no rule that statements begin with`);
    const pieces = statementsOf(accepted(root.definition ?? []) ?? [], rules).map((piece) => accepted(piece));
    const used = new Set<string>();
    for (const piece of pieces) {
      if (!piece) continue;
      const name = nameOf(piece) || 'SELECT';
      statements.set(name, [...(statements.get(name) ?? []), piece]);
      for (const node of piece) rulesUsed(node, used);
    }
    for (const name of used) {
      const rule = rules.get(name);
      const definition = rule && accepted(rule.definition ?? []);
      if (!definition || rules.get(name) === root) continue;
      shared.set(name, { type: 'Alternative', definition });
      for (const node of definition) rulesUsed(node, used);
    }
  }
  const byName = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...byName(statements).map(([name, forms]) =>
      diagram(name, false, forms.length === 1 ? sequence(forms[0] ?? []) : railroad.Choice(0, ...forms.map(sequence))),
    ),
    ...byName(shared).map(([name, rule]) => diagram(name, true, draw(rule))),
  ];
}
