/**
 * Result sets as text: the formats of `varve sql --format`.
 *
 * A formatter takes column names and cells that are already text (null is NULL) and returns the
 * whole text, newline at its end. It knows no SQL types but "numeric", which aligns right.
 *
 * Source of the shapes: CockroachDB documentation, page "cockroach sql", flag `--format`.
 */

/** One statement's outcome, with every value in its text form. */
export interface TextResult {
  /** Command tag: `INSERT 0 1`, `CREATE TABLE`. */
  readonly tag: string;
  /** Absent for a statement that returns no rows. */
  readonly columns?: readonly TextColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface TextColumn {
  readonly name: string;
  readonly isNumeric: boolean;
}

export const RESULT_FORMATS = ['table', 'csv', 'tsv', 'json', 'records', 'raw', 'sql', 'html'] as const;
export type ResultFormat = (typeof RESULT_FORMATS)[number];

/**
 * The text of one result; a result without columns is its tag. `width`: terminal columns that a
 * table has to fit; the widest cells are wrapped, and when even that is not enough it is shown as
 * records.
 */
export function formatResult(result: TextResult, format: ResultFormat, width?: number): string {
  const { columns } = result;
  if (!columns) return `${shownTag(result.tag)}\n`;
  if (format === 'table' && width !== undefined) {
    const fitted = fitTable(columns, result.rows, width);
    return fitted ? formatTable(fitted.columns, fitted.rows) : formatRecords(columns, result.rows);
  }
  return FORMATTERS[format](columns, result.rows);
}

/** CockroachDB's shell prints `INSERT 2` where the wire protocol says `INSERT 0 2`. */
export function shownTag(tag: string): string {
  return tag.replace(/^INSERT \d+ (\d+)$/, 'INSERT $1');
}

type Rows = TextResult['rows'];
type Formatter = (columns: readonly TextColumn[], rows: Rows) => string;

const FORMATTERS: Readonly<Record<ResultFormat, Formatter>> = Object.freeze({
  table: formatTable,
  csv: (columns, rows) => formatDelimited(columns, rows, ',', csvCell),
  tsv: (columns, rows) => formatDelimited(columns, rows, '\t', tsvCell),
  json: formatJson,
  records: formatRecords,
  raw: formatRaw,
  sql: formatSql,
  html: formatHtml,
});

function rowCount(rows: Rows): string {
  return `(${rows.length} row${rows.length === 1 ? '' : 's'})`;
}

/** Terminal columns that a text takes; wide East Asian and emoji code points take two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (code === 0x200d || (code >= 0x300 && code <= 0x36f) || (code >= 0xfe00 && code <= 0xfe0f)) continue;
    const isWide =
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0x1f300 && code <= 0x1faff);
    width += isWide ? 2 : 1;
  }
  return width;
}

function pad(text: string, width: number, right: boolean): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return right ? fill + text : text + fill;
}

/**
 * Aligned columns; a cell of several lines continues below itself.
 *
 *       id | balance
 *     -----+----------
 *        1 |    1000
 *     (1 row)
 */
function formatTable(columns: readonly TextColumn[], rows: Rows): string {
  const cells = rows.map((row) => row.map((cell) => (cell ?? 'NULL').replaceAll('\t', '    ').split('\n')));
  const headers = columns.map((column) => column.name.split('\n'));
  const widths = columns.map((_, index) => Math.max(...[headers, ...cells].flatMap((row) => (row[index] ?? ['']).map(displayWidth)), 1));
  const drawLines = (row: string[][], numericRight: boolean): string[] => {
    const height = Math.max(...row.map((lines) => lines.length), 1);
    return Array.from({ length: height }, (_, line) =>
      `  ${columns
        .map((column, index) => pad(row[index]?.[line] ?? '', widths[index] ?? 1, numericRight && column.isNumeric))
        .join(' | ')}`.trimEnd(),
    );
  };
  const rule = widths
    .map((width, index) => '-'.repeat(width + 2 + (index === 0 ? 1 : 0) + (index === columns.length - 1 ? 1 : 0)))
    .join('+');
  const lines = columns.length === 0 ? ['--'] : [...drawLines(headers, false), rule];
  if (columns.length > 0) for (const row of cells) lines.push(...drawLines(row, true));
  return `${[...lines, rowCount(rows)].join('\n')}\n`;
}

/** No column is made narrower than this to fit a table to its terminal. */
const FITTED_WIDTH_MIN = 12;

/** The table with its widest columns wrapped so that it takes `width` terminal columns; undefined when it cannot. */
function fitTable(columns: readonly TextColumn[], rows: Rows, width: number): { columns: readonly TextColumn[]; rows: Rows } | undefined {
  const natural = columns.map((column, at) => {
    const texts = [column.name, ...rows.map((row) => row[at] ?? 'NULL')];
    return Math.max(1, ...texts.flatMap((text) => text.replaceAll('\t', '    ').split('\n').map(displayWidth)));
  });
  // Between two columns stands ` | `; the rule goes two columns beyond its cells on either side.
  let spare = width - 4 - 3 * (columns.length - 1);
  if (natural.reduce((sum, each) => sum + each, 0) <= spare) return { columns, rows };
  // Narrow columns keep their width; those that are wider than an even share of the rest get that share.
  const widths = [...natural];
  let open = natural.map((_, at) => at).sort((a, b) => (natural[a] ?? 0) - (natural[b] ?? 0));
  while (open.length > 0) {
    const share = Math.floor(spare / open.length);
    const [narrowest = 0, ...others] = open;
    if ((natural[narrowest] ?? 0) > share) {
      if (share < FITTED_WIDTH_MIN) return undefined;
      for (const at of open) widths[at] = share;
      break;
    }
    spare -= natural[narrowest] ?? 0;
    open = others;
  }
  const fit = (text: string, at: number): string => wrapText(text, widths[at] ?? FITTED_WIDTH_MIN);
  return {
    columns: columns.map((column, at) => ({ ...column, name: fit(column.name, at) })),
    rows: rows.map((row) => row.map((cell, at) => (cell === null ? null : fit(cell, at)))),
  };
}

/** The text cut into lines of at most `width` terminal columns. */
function wrapText(text: string, width: number): string {
  const lines: string[] = [];
  for (const line of text.replaceAll('\t', '    ').split('\n')) {
    let current = '';
    let used = 0;
    for (const char of line) {
      const taken = displayWidth(char);
      if (used + taken > width && current !== '') {
        lines.push(current);
        current = '';
        used = 0;
      }
      current += char;
      used += taken;
    }
    lines.push(current);
  }
  return lines.join('\n');
}

function formatDelimited(columns: readonly TextColumn[], rows: Rows, delimiter: string, quote: (cell: string) => string): string {
  const lines = [columns.map((column) => quote(column.name)).join(delimiter)];
  for (const row of rows) lines.push(row.map((cell) => (cell === null ? 'NULL' : quote(cell))).join(delimiter));
  return `${lines.join('\n')}\n`;
}

function csvCell(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function tsvCell(cell: string): string {
  return /["\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** An array of objects; every value is text or null, numbers that JSON can hold exactly are numbers. */
function formatJson(columns: readonly TextColumn[], rows: Rows): string {
  const objects = rows.map((row) =>
    Object.fromEntries(columns.map((column, index) => [column.name, jsonValue(row[index] ?? null, column.isNumeric)])),
  );
  return `${JSON.stringify(objects, null, 2)}\n`;
}

function jsonValue(cell: string | null, isNumeric: boolean): string | number | null {
  if (cell === null || !isNumeric) return cell;
  const value = Number(cell);
  return Number.isFinite(value) && String(value) === cell ? value : cell;
}

/** `-[ RECORD 1 ]`, then a line a column. */
function formatRecords(columns: readonly TextColumn[], rows: Rows): string {
  const width = Math.max(0, ...columns.map((column) => displayWidth(column.name)));
  const lines = rows.flatMap((row, index) => [
    `-[ RECORD ${index + 1} ]`,
    ...columns.map((column, at) => {
      const [first = '', ...more] = (row[at] ?? 'NULL').split('\n');
      return [`${pad(column.name, width, false)} | ${first}`, ...more.map((line) => `${' '.repeat(width)} | ${line}`)].join('\n');
    }),
  ]);
  return `${[...lines, rowCount(rows)].join('\n')}\n`;
}

function formatRaw(columns: readonly TextColumn[], rows: Rows): string {
  const lines = [`# ${columns.length} column${columns.length === 1 ? '' : 's'}`];
  rows.forEach((row, index) => {
    lines.push(`# row ${index + 1}`);
    for (const cell of row) lines.push(`## ${Buffer.byteLength(cell ?? 'NULL')}`, cell ?? 'NULL');
  });
  return `${[...lines, `# ${rows.length} row${rows.length === 1 ? '' : 's'}`].join('\n')}\n`;
}

function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function formatSql(columns: readonly TextColumn[], rows: Rows): string {
  const names = columns.map((column) => sqlName(column.name));
  const lines = [`CREATE TABLE results (`, `  ${names.map((name) => `${name} STRING`).join(',\n  ')}`, `);`, ''];
  for (const row of rows) {
    const values = row.map((cell) => (cell === null ? 'NULL' : `'${cell.replaceAll("'", "''")}'`));
    lines.push(`INSERT INTO results VALUES (${values.join(', ')});`);
  }
  return `${[...lines, `-- ${rows.length} row${rows.length === 1 ? '' : 's'}`].join('\n')}\n`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function formatHtml(columns: readonly TextColumn[], rows: Rows): string {
  const lines = [
    '<table>',
    `<thead><tr><th>row</th>${columns.map((c) => `<th>${escapeHtml(c.name)}</th>`).join('')}</tr></thead>`,
    '<tbody>',
  ];
  rows.forEach((row, index) => {
    lines.push(
      `<tr><td>${index + 1}</td>${row.map((cell) => `<td>${escapeHtml(cell ?? 'NULL').replaceAll('\n', '<br/>')}</td>`).join('')}</tr>`,
    );
  });
  return `${[...lines, '</tbody>', `<tfoot><tr><td colspan=${columns.length + 1}>${rows.length} row${rows.length === 1 ? '' : 's'}</td></tr></tfoot></table>`].join('\n')}\n`;
}
