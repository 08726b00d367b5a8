/**
 * Sizes in bytes as people write and read them: `128 MiB`, `1GB`, `1000`.
 */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** `128 MiB`, `1GB`, `1000`; KB is 1000 bytes, KiB and the single letters are 1024. Undefined when it is no size. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = match && SIZE_UNITS[(match[2] ?? '').toLowerCase()];
  return match && unit !== undefined && unit !== null ? Math.round(Number(match[1]) * unit) : undefined;
}

/** In the largest unit of 1024 that leaves at most one decimal: `128 MiB`, `1.5 GiB`, `0 B`. */
export function formatByteSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${units[unit]}`;
}
