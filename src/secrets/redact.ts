import type { SecretValue } from '../lib/secret-value.ts'

const REDACTED = '[redacted]'
/** Shorter ones would blacken ordinary words, and are no secrets worth the name. */
const MIN_LENGTH = 6

/**
 * Takes known secrets out of text that others wrote: error messages of upstreams, logs of child processes. Finds a
 * value as it is, line by line (a key in PEM form), and as URLs, JSON, hex and Base64 (of a longer text too) spell it. A value that was cut or
 * spelt in yet another way is not found: this is the last line, not the first.
 */
export function createRedactor(values: Iterable<SecretValue>): (text: string) => string {
  const spellings = new Set<string>()
  for (const value of values) {
    for (const { spelling } of spell(value.reveal())) {
      if (spelling.length >= MIN_LENGTH) spellings.add(spelling)
    }
  }
  return replacing(spellings)
}

/**
 * The same for JSON that a server sent and that others will work with, so it changes less: nothing that could be an
 * ordinary word, and nothing but the inside of strings. JSON stays JSON.
 *
 * @returns undefined when there is nothing to look for; a function that returns the same Buffer when nothing is found
 */
export function createJsonRedactor(values: Iterable<SecretValue>): ((json: Buffer) => Buffer) | undefined {
  const spellings = new Set<string>()
  for (const value of values) {
    for (const { spelling, encoded } of spell(value.reveal())) {
      if (spelling.length < MIN_TELLING || (!encoded && isOrdinary(spelling))) continue
      const once = inJson(spelling)
      // Servers like to put JSON into the text of a result. Some encoders leave nothing but ASCII.
      const escaped = once.replaceAll('/', String.raw`\/`)
      for (const form of [once, escaped, inJson(once), ascii(once), inJson(ascii(once))]) spellings.add(form)
    }
  }
  if (spellings.size === 0) return undefined
  const needles = [...spellings].map((spelling) => Buffer.from(spelling))
  const redact = replacing(spellings)
  return (json) => {
    const isEscaped = json.includes(ESCAPED)
    if (!isEscaped && !needles.some((needle) => json.includes(needle))) return json
    const text = json.toString('utf8')
    const clean = redact(text)
    const plain = isEscaped ? unescaped(clean) : clean
    const cleaner = isEscaped ? redact(plain) : plain
    const best = cleaner === plain ? clean : cleaner
    return best === text ? json : Buffer.from(best)
  }
}

/** Some encoders escape what needs no escape, such as `+`. */
const ESCAPED = Buffer.from(String.raw`\u00`)
const unescaped = (json: string): string =>
  json.replace(/\\+u00([2-7][0-9a-f])/gi, (escape, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16))
    return char === '"' || char === '\\' ? escape : char
  })

const MIN_TELLING = 12

/** A word, or the frame of a PEM key: `production` may be kept in a Secret too, and must not vanish from every answer. */
const isOrdinary = (text: string): boolean => /^(?:\p{L}*$|-----)/u.test(text)

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)
const ascii = (json: string): string =>
  json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

function replacing(spellings: ReadonlySet<string>): (text: string) => string {
  if (spellings.size === 0) return (text) => text
  // Longest first: one secret may be the beginning of another.
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(longestFirst.map(escape).join('|'), 'g')
  return (text) => text.replace(pattern, REDACTED)
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)

interface Spelling {
  readonly spelling: string
  /** Whatever the value is, this is no word of any language, even where it happens to be all letters. */
  readonly encoded: boolean
}

function* spell(value: string): Generator<Spelling> {
  if (value.length < MIN_LENGTH) return
  for (const spelling of asText(value)) yield { spelling, encoded: false }
  for (const spelling of asBytes(Buffer.from(value))) yield { spelling, encoded: true }
}

function* asText(value: string): Generator<string> {
  yield value
  for (const line of value.split(/\r?\n/)) yield line.trim()
  yield inJson(value)
  if (!value.isWellFormed()) return
  const percent = encodeURIComponent(value)
  yield percent
  yield percent.replaceAll('%2F', '/')
  yield percent.replace(/%../g, (escape) => escape.toLowerCase())
}

function* asBytes(bytes: Buffer): Generator<string> {
  const hex = bytes.toString('hex')
  yield hex
  yield hex.toUpperCase()
  yield bytes.toString('base64')
  yield bytes.toString('base64url')
  yield* insideBase64(bytes)
}

/** What is for certain in the Base64 of a longer text, such as `Bearer …`: wherever the value begins in its groups of three. */
function* insideBase64(bytes: Buffer): Generator<string> {
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((whole.length * 8) / 6)
    yield whole.toString('base64').slice(from, to)
    yield whole.toString('base64url').slice(from, to)
  }
}
