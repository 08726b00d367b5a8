/**
 * Golden scripts of expressions. Commands:
 *
 *   eval [tz=ZONE]       each input line is an expression; the output is its type and value, or its error
 *   columns              each input line is `name TYPE [= expression]`: columns of the commands that follow
 *   typed [desired=TYPE] each line's typed and folded form, its type, and what it depends on
 *   aggregate            each line is an aggregate call over the columns v and w; rows are given by
 *                        `rows=(...)`: values of v, or `v;w`, in SQL
 *   generate             the rows of each line's set-returning call
 */
import type { Datum } from '../../../src/catalog/datum.ts';
import { formatExpr } from '../../../src/sql/expr/formatExpr.ts';
import { coerceTo } from '../../../src/sql/expr/analyze.ts';
import { resolveType } from '../../../src/sql/expr/analysis.ts';
import { compileExpr } from '../../../src/sql/expr/compile.ts';
import { traits } from '../../../src/sql/expr/traits.ts';
import { parseType } from '../../../src/sql/parse/parse.ts';
import { type ColumnType, familyName } from '../../../src/catalog/type.ts';
import { type GoldenCommand, goldenSuite } from '../../support/golden.ts';
import { analyzed, evaluate, show, showError, type TestColumn, testAnalyzeContext, testEvalContext } from './support.ts';

class ExprScript {
  #columns: TestColumn[] = [];
  #ctx = testEvalContext();

  async run(command: GoldenCommand): Promise<string> {
    const timeZone = command.arg('tz');
    if (timeZone) this.#ctx = testEvalContext({ timeZone });
    switch (command.name) {
      case 'eval':
        return this.#each(command, async (line) => {
          const expr = analyzed(line, this.#columns);
          return show(expr.type, await evaluate(expr, this.#columns, this.#ctx), timeZone);
        });
      case 'columns':
        this.#columns = [];
        for (const line of command.input.split('\n')) await this.#addColumn(line);
        return this.#columns.map((column) => `${column.name} ${familyName(column.type)}`).join('\n');
      case 'typed':
        return this.#each(command, (line) => this.#typed(line, command.arg('desired')));
      case 'aggregate':
        return this.#each(command, (line) => this.#aggregate(line, command.args.get('rows') ?? []));
      case 'generate':
        return this.#each(command, (line) => this.#generate(line));
      default:
        throw new Error(`unknown command ${command.name}`);
    }
  }

  async #each(command: GoldenCommand, one: (line: string) => string | Promise<string>): Promise<string> {
    const out: string[] = [];
    for (const line of command.input.split('\n')) {
      try {
        out.push(await one(line));
      } catch (error) {
        out.push(showError(error));
      }
    }
    return out.join('\n');
  }

  async #addColumn(line: string): Promise<void> {
    const [, name = '', typeText = '', valueText = 'NULL'] = /^(\w+) (.*?)(?: = (.*))?$/.exec(line) ?? [];
    const type = resolveType(parseType(typeText), testAnalyzeContext());
    const value = coerceTo(analyzed(valueText, [], {}, type), type, name);
    this.#columns.push({ name, type, value: await evaluate(value, [], this.#ctx) });
  }

  #typed(line: string, desired: string | undefined): string {
    const wish: ColumnType | undefined = desired === undefined ? undefined : resolveType(parseType(desired), testAnalyzeContext());
    const expr = analyzed(line, this.#columns, {}, wish);
    const { volatility, columns, isAsync } = traits(expr);
    return `${formatExpr(expr)}  [${familyName(expr.type)}, ${volatility}${columns.size > 0 ? `, reads ${[...columns].join(' ')}` : ''}${isAsync ? ', waits' : ''}]`;
  }

  async #aggregate(line: string, rows: readonly string[]): Promise<string> {
    const cells = rows.map((row) => row.split(';').map((cell) => analyzed(cell)));
    const first = cells.find((row) => row.every((cell) => cell.type.family !== 'unknown')) ?? cells[0] ?? [];
    const columns = first.map((cell, i) => ({ name: i === 0 ? 'v' : 'w', type: cell.type, value: null }));
    const expr = analyzed(line, columns, { allowAggregates: true });
    if (expr.kind !== 'aggregate') throw new Error(`${line} is no aggregate`);
    const args = expr.args.map(compileExpr);
    const state = expr.overload.start(
      expr.args.map((arg) => arg.type),
      this.#ctx,
    );
    for (const row of cells) {
      const values: Datum[] = [];
      for (const cell of row) values.push(await evaluate(cell, [], this.#ctx));
      state.add(args.map((arg) => arg(values, this.#ctx)));
    }
    return show(expr.type, state.result());
  }

  async #generate(line: string): Promise<string> {
    const expr = analyzed(line, [], { allowGenerators: true });
    if (expr.kind !== 'generator') throw new Error(`${line} is no generator`);
    const args = expr.args.map((arg) => compileExpr(arg)([], this.#ctx));
    const types = expr.args.map((arg) => arg.type);
    const rows: string[] = [];
    for (const row of expr.overload.rows?.(this.#ctx, args, types) ?? []) {
      rows.push(row.map((value, i) => show((expr.columns[i] as { type: ColumnType }).type, value).replace(/^\S+ {2}/, '')).join(' '));
      if (rows.length === 10) {
        rows.push('...');
        break;
      }
    }
    return `${expr.columns.map((column) => `${column.name} ${familyName(column.type)}`).join(', ')}: ${rows.join(', ')}`;
  }
}

goldenSuite('expr', () => {
  const script = new ExprScript();
  return { run: (command) => script.run(command) };
});
