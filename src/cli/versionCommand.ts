/** `varve version`: the package's version and the runtime's. */
import { VERSION } from '../base/version.ts';
import type { Command } from './command.ts';

export const versionCommand: Command = {
  name: 'version',
  summary: 'print the version',
  usage: 'varve version',
  flags: {},
  async run(_flags, io) {
    io.out(`Varve ${VERSION}\nNode.js ${process.version}\n${process.platform} ${process.arch}\n`);
    return 0;
  },
};
