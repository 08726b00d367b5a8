/** DroppedDataService: what DDL statements ask of the jobs that follow dropped data. Types only; droppedData.ts implements it. */
import type { Txn } from '../../../kv/kv.ts';

/** What one statement dropped. */
export interface DroppedData {
  readonly tableIds: readonly number[];
  readonly indexes: readonly { readonly tableId: number; readonly indexId: number }[];
}

/** What DDL statements ask; an engine without it drops all the same. */
export interface DroppedDataService {
  /** Writes the job in the statement's transaction. */
  create(txn: Txn, dropped: DroppedData, description: string, user: string): Promise<void>;
}
