/**
 * Block cache: decoded blocks of data files, the least recently used ones given up first.
 *
 *   BC1  what it holds is within its limit and counted in the memory budget; a block larger than the
 *        limit is used and not kept
 *   BC2  a block that several ask for at once is read once; a failed read is not kept
 */
import type { Holding } from '../../base/budget.ts';

import type { VersionRun } from '../../backup/block.ts';
import type { DataFileReader } from '../../backup/dataFileReader.ts';

/** What an entry holds beside the bytes of its key and value: two strings, three array elements, a boxed time. */
const ENTRY_BYTES = 80;

interface CachedBlock {
  readonly run: Promise<VersionRun>;
  /** 0 until it is there. */
  bytes: number;
}

export class BlockCache {
  readonly #limitBytes: number;
  readonly #holding: Holding;
  /** In the order of their last use. */
  readonly #blocks = new Map<string, CachedBlock>();
  #bytes = 0;
  /** Blocks read from storage so far. */
  readCount = 0;

  constructor(limitBytes: number, holding: Holding) {
    this.#limitBytes = limitBytes;
    this.#holding = holding;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The versions of a file's block. Throws what reading throws. */
  async get(reader: DataFileReader, index: number): Promise<VersionRun> {
    const name = `${reader.name}/${index}`;
    const found = this.#blocks.get(name);
    if (found !== undefined) {
      this.#blocks.delete(name);
      this.#blocks.set(name, found);
      return await found.run;
    }
    this.readCount++;
    const block: CachedBlock = { run: reader.block(index), bytes: 0 };
    this.#blocks.set(name, block);
    try {
      const run = await block.run;
      // Given up while it was read.
      if (this.#blocks.get(name) === block) {
        block.bytes = (reader.blocks[index]?.rawSize ?? 0) + run.keys.length * ENTRY_BYTES;
        this.#bytes += block.bytes;
        this.#trim();
      }
      return run;
    } catch (error) {
      if (this.#blocks.get(name) === block) this.#blocks.delete(name);
      throw error;
    }
  }

  /** Gives everything up. */
  close(): void {
    this.#blocks.clear();
    this.#bytes = 0;
    this.#holding.release();
  }

  #trim(): void {
    for (const [name, block] of this.#blocks) {
      if (this.#bytes <= this.#limitBytes) break;
      if (block.bytes === 0) continue;
      this.#blocks.delete(name);
      this.#bytes -= block.bytes;
    }
    this.#holding.resize(this.#bytes);
  }
}
