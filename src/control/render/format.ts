import { stripVTControlCharacters } from 'node:util'

/** The forms in which a read can be asked for. */
export const OUTPUTS = ['table', 'wide', 'yaml', 'json', 'name'] as const
export type Output = (typeof OUTPUTS)[number]

/**
 * Text from elsewhere on one line of a terminal: no control character, no line break, no direction mark that could
 * make it look like something else.
 */
export function oneLine(text: string, maxLength = Number.POSITIVE_INFINITY): string {
  const clean = stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/[\u202A-\u202E\u2066-\u2069]/gu, '')
    .trim()
  return clean.length <= maxLength ? clean : `${clean.slice(0, maxLength - 1)}…`
}

/** How wide each column has to be. */
export function columnWidths(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return widths
}

/**
 * Columns of equal width, three spaces apart; nothing after the last one of a line.
 *
 * @param widths where the rows are not all: those of all of them
 */
export function alignColumns(
  rows: readonly (readonly string[])[],
  widths: readonly number[] = columnWidths(rows),
): string {
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   '))
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}
