/**
 * The golden scripts of the parser. Commands:
 *
 *   parse       each statement of the input, printed back: CockroachDB's spelling, one a line
 *   parse secrets   the same with passphrases and passwords shown
 *   expr        each line is one expression, printed fully and only as parenthesised as it must be
 *   error       the code, message, detail and hint of the error that the input gives
 *   tree        the syntax tree of the one statement as JSON, without positions
 *
 * `parse` also checks that what it prints parses to the same tree.
 */
import { isVarveError } from '../../../src/base/errors.ts';
import { parseExpression, parseStatements } from '../../../src/sql/parse/parse.ts';
import { printExpr, printStatement } from '../../../src/sql/parse/printer.ts';
import { type GoldenCommand, goldenSuite } from '../../support/golden.ts';
import { stripPositions } from './stripPositions.ts';

function parse(command: GoldenCommand): string {
  const showSecrets = command.has('secrets');
  return parseStatements(command.input)
    .map(({ ast }) => {
      const printed = printStatement(ast, { showSecrets });
      const again = parseStatements(printStatement(ast, { showSecrets: true }))[0]?.ast;
      const same = JSON.stringify(stripPositions(again)) === JSON.stringify(stripPositions(ast));
      return same ? printed : `${printed}\n!! parses to another tree`;
    })
    .join('\n');
}

function error(command: GoldenCommand): string {
  try {
    parseStatements(command.input);
  } catch (caught) {
    if (!isVarveError(caught)) throw caught;
    const lines = [`error ${caught.code}: ${caught.message}`];
    if (caught.detail !== undefined) lines.push(`DETAIL: ${caught.detail}`);
    if (caught.hint !== undefined) lines.push(`HINT: ${caught.hint}`);
    return lines.join('\n');
  }
  return 'no error';
}

goldenSuite('parse', () => ({
  run(command) {
    switch (command.name) {
      case 'parse':
        return parse(command);
      case 'expr':
        return command.input
          .split('\n')
          .map((line) => printExpr(parseExpression(line)))
          .join('\n');
      case 'tree':
        return JSON.stringify(stripPositions(parseStatements(command.input)[0]?.ast), undefined, 1);
      case 'error':
        return error(command);
      default:
        throw new Error(`unknown command ${command.name}`);
    }
  },
}));
