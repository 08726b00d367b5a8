/**
 * `npm test [-- FILTER...]`: runs every test/**\/*.test.ts, or those whose path contains a filter.
 * The last line is `N passed, N failed` (and `, N skipped`), and the exit code is 1 when any failed.
 */
import { fileURLToPath } from 'node:url';
import { findTestFiles, runTestFiles } from './support/testRunner.ts';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

const files = findTestFiles(fileURLToPath(new URL('.', import.meta.url)), process.argv.slice(2));
const totals = await runTestFiles(files, { write: (text) => process.stdout.write(text), signal: interrupted.signal });
process.exitCode = totals.failed > 0 ? 1 : 0;
