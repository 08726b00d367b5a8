#!/usr/bin/env node
/** Runs a script of this project: `bin/run.js FILE.ts args`. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, launch } from './launcher.js';

const [file, ...args] = process.argv.slice(2);
if (file === undefined) fail('usage: run.js FILE.ts [arguments]');
if (!existsSync(file)) fail(`run.js: ${resolve(file)} does not exist`);
launch({ launcher: fileURLToPath(import.meta.url), target: resolve(file), args });
