/** Plan timeline: backups, outages, failures and the distance to the newest restorable time, drawn as SVG. Pure. */
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../base/duration.ts';
import { formatUtc, type Timestamp } from '../../base/timestamp.ts';
import { type PlanBackup, type PlanResult, succeeded } from './simulatePlan.ts';

const WIDTH = 1200;
const LEFT = 110;
const LANE = 36;
const RPO_HEIGHT = 120;
const COLOURS = { full: '#1f6feb', incremental: '#2da44e', failed: '#cf222e', outage: '#d4a72c', axis: '#8c959f', rpo: '#8250df' } as const;

export function planSvg(result: PlanResult): string {
  const { start, end, spec, backups, failures } = result;
  const x = (at: number): number => Math.round((LEFT + ((at - start) / (end - start)) * (WIDTH - LEFT - 20)) * 10) / 10;
  const lanes = spec.incremental === undefined ? ['full', 'failed'] : ['full', 'incremental', 'failed'];
  const top = 40;
  const laneY = (name: string): number => top + lanes.indexOf(name) * LANE;
  const rpoTop = top + lanes.length * LANE + 10;
  const height = rpoTop + RPO_HEIGHT + 40;
  const parts: string[] = [];
  const rect = (left: number, y: number, width: number, tall: number, colour: string, title: string, opacity = 1): void => {
    parts.push(
      `<rect x="${left}" y="${y}" width="${Math.max(1, width)}" height="${tall}" fill="${colour}" opacity="${opacity}"><title>${escapeXml(title)}</title></rect>`,
    );
  };
  const text = (left: number, y: number, words: string, anchor = 'start'): void => {
    parts.push(`<text x="${left}" y="${y}" text-anchor="${anchor}">${escapeXml(words)}</text>`);
  };
  text(
    LEFT,
    22,
    `full ${spec.full}${spec.incremental === undefined ? '' : `, incremental ${spec.incremental}`}, ${spec.days} days from ${minute(start)}`,
  );
  for (const { of, startMicros, lengthMicros } of spec.outages) {
    const from = x(start + startMicros);
    rect(from, top, x(start + startMicros + lengthMicros) - from, rpoTop + RPO_HEIGHT - top, COLOURS.outage, `${of} away`, 0.3);
  }
  for (const name of lanes) text(LEFT - 8, laneY(name) + 18, name, 'end');
  for (const { kind, created, status, endTime } of backups) {
    if (status === 'succeeded') rect(x(created), laneY(kind), 2, LANE - 10, COLOURS[kind], `${kind} as of ${minute(endTime)}`);
  }
  for (const { at, kind, why } of failures) rect(x(at), laneY('failed'), 2, LANE - 10, COLOURS.failed, `${minute(at)} ${kind}: ${why}`);
  text(LEFT - 8, rpoTop + 14, 'RPO', 'end');
  text(LEFT - 8, rpoTop + 30, `max ${Math.round(result.worstRpo.value / 60)} min`, 'end');
  parts.push(`<polyline fill="none" stroke="${COLOURS.rpo}" stroke-width="1.5" points="${rpoPoints(result, backups, x, rpoTop)}"/>`);
  const bottom = rpoTop + RPO_HEIGHT;
  parts.push(`<line x1="${LEFT}" y1="${bottom}" x2="${WIDTH - 20}" y2="${bottom}" stroke="${COLOURS.axis}"/>`);
  const stepDays = Math.max(1, Math.ceil(spec.days / 15));
  for (let day = 0; day <= spec.days; day += stepDays) text(x(start + day * MICROS_PER_DAY), bottom + 18, `day ${day + 1}`, 'middle');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** A saw: it rises with time, and falls when a backup makes a newer time restorable. */
function rpoPoints({ start, end, worstRpo }: PlanResult, backups: readonly PlanBackup[], x: (at: number) => number, top: number): string {
  const y = (at: number, newest: number): number => {
    const share = worstRpo.value === 0 ? 0 : (at - newest) / MICROS_PER_SECOND / worstRpo.value;
    return Math.round((top + RPO_HEIGHT * (1 - share)) * 10) / 10;
  };
  const points = [`${x(start)},${y(start, start)}`];
  let newest: number = start;
  for (const { finished, endTime } of succeeded(backups)) {
    points.push(`${x(finished)},${y(finished, newest)}`);
    newest = Math.max(newest, endTime);
    points.push(`${x(finished)},${y(finished, newest)}`);
  }
  points.push(`${x(end)},${y(end, newest)}`);
  return points.join(' ');
}

function minute(at: Timestamp): string {
  return formatUtc(at).slice(0, 16);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
