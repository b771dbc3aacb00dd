import type { SecretValue } from '../lib/secret-value.ts'

const REDACTED = '[redacted]'
/** Shorter ones would blacken ordinary words, and are no secrets worth the name. */
const MIN_LENGTH = 6

/**
 * Takes known secrets out of text that others wrote: error messages of upstreams, logs of child processes. Finds a
 * value as it is, line by line (a key in PEM form), and as URLs, JSON and Base64 spell it. A value that was cut or
 * spelt differently is not found: this is the last line, not the first.
 */
export function createRedactor(values: Iterable<SecretValue>): (text: string) => string {
  const spellings = new Set<string>()
  for (const value of values) {
    for (const spelling of spell(value.reveal())) {
      if (spelling.length >= MIN_LENGTH) spellings.add(spelling)
    }
  }
  if (spellings.size === 0) return (text) => text
  // Longest first: one secret may be the beginning of another.
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(longestFirst.map(escape).join('|'), 'g')
  return (text) => text.replace(pattern, REDACTED)
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)

function* spell(value: string): Generator<string> {
  if (value.length < MIN_LENGTH) return
  yield value
  for (const line of value.split(/\r?\n/)) yield line.trim()
  yield JSON.stringify(value).slice(1, -1)
  if (value.isWellFormed()) yield encodeURIComponent(value)
  const bytes = Buffer.from(value)
  yield bytes.toString('base64')
  yield bytes.toString('base64url')
}
