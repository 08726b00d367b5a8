/** Takes out of a script's output what depends on how often the clock was asked: parts of seconds, ids. */

/** Times print as seconds since `start` (@12s), job ids as <job>, uuids as <uuid>, digests as <sha256>. */
export function maskText(text: string, start: string): string {
  const startSeconds = Date.parse(start) / 1000;
  const relative = (seconds: number) => `@${seconds - startSeconds}s`;
  return text
    .replace(/\b(\d{10})\d{9}\.0{10}/g, (_, seconds) => relative(Number(seconds)))
    .replace(/\b(\d{10})\.\d{9},0/g, (_, seconds) => relative(Number(seconds)))
    .replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?\+00(?::00)?/g, (_, day, clock) =>
      relative(Date.parse(`${day}T${clock}Z`) / 1000),
    )
    .replace(/(\d+)\.\d+s too early/g, '$1s too early')
    .replace(/\d+µs too early/g, '<µs> too early')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\b[0-9a-f]{64}\b/g, '<sha256>')
    .replace(/(CHECKPOINT|LATEST)-[0-9a-f]{16}/g, '$1-<descending>')
    .replace(/\/[0-9a-f]{16}_/g, '/<descending>_')
    .replace(/\b\d{16}\b/g, '<job>');
}
