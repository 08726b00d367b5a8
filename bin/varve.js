#!/usr/bin/env node
/** The `varve` command: the sources in a checkout, the bundle in an installed package. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, launch, memoryArgument, packageRoot, parseSize } from './launcher.js';

const args = process.argv.slice(2);
const size = memoryArgument(args);
const memory = size === undefined ? undefined : parseSize(size);
if (size !== undefined && !memory) fail(`varve: --memory "${size}" is no size such as 512MiB or 2GiB`);
if (args.includes('--memory') && size === undefined) fail('varve: --memory wants a size such as 512MiB or 2GiB');

const source = join(packageRoot, 'src', 'cli', 'main.ts');
const target = existsSync(source) ? source : join(packageRoot, 'dist', 'cli', 'main.js');
if (!existsSync(target)) fail(`varve: neither ${source} nor ${target} exists; run "npm run build"`);
launch({ launcher: fileURLToPath(import.meta.url), target, args, memory });
