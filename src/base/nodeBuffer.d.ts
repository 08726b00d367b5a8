/**
 * The Buffer methods that Node has and its types leave out. They convert without the option
 * checks of `toString` and `write`, and their strings are flat one-byte strings.
 */
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
    utf8Slice(start?: number, end?: number): string;
    utf8Write(text: string, offset?: number, length?: number): number;
  }
}

export {};
