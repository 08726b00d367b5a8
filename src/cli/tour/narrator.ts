/**
 * How the tour speaks: chapters, SQL with its real output, progress bars on a terminal, and proofs
 * that count when they fail.
 */
import { formatResult, type TextResult } from '../resultFormat.ts';
import { errorReport } from '../cliError.ts';
import type { CommandIo } from '../command.ts';
import type { SqlClient } from '../sqlClient.ts';

const BAR_CELLS = 30;
/** Statements longer than this are shown in part: a batch of a thousand rows says nothing. */
const SHOWN_SQL_MAX = 600;
const SHOWN_ROWS_MAX = 12;

export class Narrator {
  readonly #io: CommandIo;
  readonly #client: SqlClient;
  #chapter = 0;
  #failures = 0;

  constructor(io: CommandIo, client: SqlClient) {
    this.#io = io;
    this.#client = client;
  }

  get failures(): number {
    return this.#failures;
  }

  #style(code: string, text: string): string {
    return this.#io.isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  chapter(title: string): void {
    this.#chapter++;
    this.#io.out(`\n${this.#style('1;36', `${this.#chapter}. ${title}`)}\n`);
  }

  say(text: string): void {
    this.#io.out(`${text}\n`);
  }

  #show(sql: string): void {
    const shown = sql.length > SHOWN_SQL_MAX ? `${sql.slice(0, SHOWN_SQL_MAX)} ...` : sql;
    this.#io.out(`\n${this.#style('1', `> ${shown.trim().replaceAll('\n', '\n  ')};`)}\n`);
  }

  #print(result: TextResult): void {
    const rows = result.rows.slice(0, SHOWN_ROWS_MAX);
    this.#io.out(formatResult({ ...result, rows }, 'table'));
    if (rows.length < result.rows.length) this.#io.out(`... and ${result.rows.length - rows.length} more\n`);
  }

  /** Shows a statement, runs it, shows what it returned. */
  async run(sql: string): Promise<TextResult> {
    this.#show(sql);
    const result = await this.#client.run(sql);
    this.#print(result);
    return result;
  }

  /** As run, for a statement whose failure is the point: shows the error and returns it. A success is a failed proof. */
  async runRefused(sql: string, code: string): Promise<void> {
    this.#show(sql);
    try {
      this.#print(await this.#client.run(sql));
    } catch (error) {
      this.say(errorReport(error));
      this.prove(`refused with SQLSTATE ${code}`, (error as { code?: unknown }).code === code);
      return;
    }
    this.prove(`refused with SQLSTATE ${code}`, false);
  }

  /** States a fact and whether it holds; a fact that does not makes the tour fail. */
  prove(fact: string, holds: boolean): void {
    if (!holds) this.#failures++;
    this.#io.out(`${holds ? this.#style('1;32', 'PROVED') : this.#style('1;31', 'FAILED')} ${fact}\n`);
  }

  /** A bar that redraws on a terminal; elsewhere one plain line when it is full. */
  progress(label: string): (done: number, total: number) => void {
    return (done, total) => {
      const fraction = total === 0 ? 1 : done / total;
      if (this.#io.isTerminal) {
        const filled = Math.round(fraction * BAR_CELLS);
        this.#io.out(
          `\r${label} [${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}] ${Math.round(fraction * 100)}%${fraction >= 1 ? '\n' : ''}`,
        );
      } else if (fraction >= 1) {
        this.#io.out(`${label}: ${done} of ${total}\n`);
      }
    };
  }
}
