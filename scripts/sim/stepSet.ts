/** Sets of step numbers as text: `1-20,25`. */

export function parseSteps(text: string): Set<number> {
  const steps = new Set<number>();
  for (const part of text.split(',').filter((one) => one !== '')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!match) throw new Error(`"${part}" is neither a step nor a range of steps such as 3-7`);
    for (let step = Number(match[1]); step <= Number(match[2] ?? match[1]); step++) steps.add(step);
  }
  return steps;
}

export function formatSteps(steps: ReadonlySet<number>): string {
  const parts: string[] = [];
  const sorted = [...steps].sort((a, b) => a - b);
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    parts.push(end === i ? String(sorted[i]) : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return parts.join(',');
}
