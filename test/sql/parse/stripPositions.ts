/** Syntax trees without positions, for comparing what two texts mean. */

/** A copy without `pos` fields and undefined ones; bigints as text, so that it can be printed as JSON. */
export function stripPositions(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return value.map(stripPositions);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, field]) => key !== 'pos' && field !== undefined)
      .map(([key, field]) => [key, stripPositions(field)]),
  );
}
