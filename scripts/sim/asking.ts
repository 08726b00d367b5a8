/** Asking: a session of a simulation's own that asks what must be answered: an error breaks an invariant. */
import type { Session } from '../../src/sql/exec/session.ts';
import { valueOfDatum } from './sqlText.ts';
import { SimFailure, tell, type World } from './world.ts';

export type Values = ReturnType<typeof valueOfDatum>[][];

export class Asking {
  readonly session: Session;

  constructor(world: World) {
    this.session = world.db.newSession();
  }

  /** The rows of one statement; its error is thrown as it is. */
  async values(sql: string): Promise<Values> {
    const [result] = await this.session.execute(sql);
    return (result?.rows ?? []).map((row) => row.map(valueOfDatum));
  }

  /** The same; an error breaks the invariant. */
  async rows(sql: string, invariant: string): Promise<Values> {
    try {
      return await this.values(sql);
    } catch (error) {
      throw new SimFailure(invariant, `${sql}\n    ${tell(error)}`, error);
    }
  }

  close(): void {
    this.session.close();
  }
}

export function withOptions(options: readonly string[]): string {
  return options.length === 0 ? '' : ` WITH ${options.join(', ')}`;
}
