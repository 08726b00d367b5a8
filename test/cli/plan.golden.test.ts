/** Golden scripts of `varve plan`: each line of the input is an argument; the output is what the command prints. */
import { goldenSuite } from '../support/golden.ts';
import { commandLine } from '../support/commandLine.ts';

goldenSuite('plan', () => ({
  run: async (command) => {
    const { status, out, err } = await commandLine('plan', ...command.input.split('\n').filter((line) => line !== ''));
    return status === 0 ? out : `status ${status}\n${err}`;
  },
}));
