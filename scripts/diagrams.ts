/** `npm run docs`: writes docs/sql.md and the drawings in docs/sql/, and removes drawings that it does not show. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { sqlPage } from './docs/sqlPage.ts';

const docs = fileURLToPath(new URL('../docs/', import.meta.url));
const { text, diagrams } = await sqlPage();
mkdirSync(`${docs}sql`, { recursive: true });
const files = new Set(diagrams.map(({ file }) => file));
for (const file of readdirSync(`${docs}sql`)) if (!files.has(file)) rmSync(`${docs}sql/${file}`);
for (const { file, svg } of diagrams) writeFileSync(`${docs}sql/${file}`, svg);
writeFileSync(`${docs}sql.md`, text);
console.log(`docs/sql.md and ${diagrams.length} drawings`);
