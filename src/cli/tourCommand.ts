/** `varve tour`: the main job of Varve, told and proved in about ten seconds. Exit status 1 when a proof fails. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ManualClock } from '../base/manualClock.ts';
import { Database } from '../server/database.ts';
import type { Command } from './command.ts';
import { embeddedClient } from './embeddedClient.ts';
import { Narrator } from './tour/narrator.ts';
import { tellStory } from './tour/story.ts';

const START = '2026-11-20T08:00:00Z';
const LOCALITIES = ['region=us-east,zone=a', 'region=us-west,zone=a', 'region=europe,zone=a'];

export const tourCommand: Command = {
  name: 'tour',
  summary: 'see a database backed up, damaged and brought back',
  usage: 'varve tour',
  flags: {},
  async run(_flags, io) {
    const externalIoDir = await mkdtemp(join(tmpdir(), 'varve-tour-'));
    const clock = new ManualClock(START);
    const db = await Database.open({ clock, externalIoDir, nodes: LOCALITIES.length, localities: LOCALITIES });
    try {
      const client = embeddedClient(db);
      const narrator = new Narrator(io, client);
      const started = io.monotonicMicros();
      const nodes = LOCALITIES.map((locality, index) => ({ id: index + 1, locality }));
      await tellStory({ client, clock, narrator, nodes });
      const seconds = ((io.monotonicMicros() - started) / 1e6).toFixed(1);
      if (narrator.failures > 0) {
        io.err(`\n${narrator.failures} of the tour's proofs failed.\n`);
        return 1;
      }
      io.out(`\nEvery proof held. More than two days passed on the clock, and ${seconds} seconds outside.\n`);
      return 0;
    } finally {
      await db.close();
      await rm(externalIoDir, { recursive: true, force: true });
    }
  },
};
