/**
 * Directory reservations: directories that plans under way have chosen.
 *
 *   R1  a directory is reserved before anybody looks whether it is free, and stays so until the job
 *       that will write to it can be seen in the jobs' table, or will never be: so of two plans at
 *       one moment the second finds it taken
 *
 * In memory, for the plans of one process. Between processes and clusters locks decide (directoryClaim.ts).
 */
import type { LocationDetails } from './locationDetails.ts';
import { placeKey } from './locationDetails.ts';

/** Holds one directory until everybody who held it has released it. */
export interface Reservation {
  readonly directory: string;
  hold(): void;
  release(): void;
}

export class DirectoryReservations {
  readonly #reserved = new Set<string>();

  /** Undefined when another plan has it. */
  take(location: LocationDetails, directory: string): Reservation | undefined {
    const key = `${placeKey(location)}\n${directory}`;
    if (this.#reserved.has(key)) return undefined;
    this.#reserved.add(key);
    let holders = 1;
    return {
      directory,
      hold: () => {
        holders++;
      },
      release: () => {
        if (--holders === 0) this.#reserved.delete(key);
      },
    };
  }
}
