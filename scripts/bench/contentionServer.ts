/**
 * A Varve of its own process for the contention bench: listens, prints its URL, and ends with its
 * standard input.
 */
import { open } from '../../src/index.ts';

const db = await open();
const { url } = await db.listen();
console.log(url);
process.stdin.resume();
process.stdin.on('end', () => void db.close().then(() => process.exit(0)));
