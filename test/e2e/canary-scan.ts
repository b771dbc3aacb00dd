import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Looks for planted secrets in whatever came out of the system, however they are spelt there. */

/** Where, and the label of the secret that was found. */
export type Leak = readonly [where: string, label: string, form: string]

export interface Scanner {
  /** From now on this is a secret. A label may have several. */
  plant(label: string, value: string): void
  /** @param except labels that this one place may show */
  look(where: string, bytes: Buffer | string, except?: readonly string[]): Leak[]
  /** Every file below a folder, but those that are named. */
  lookBelow(folder: string, except: readonly string[]): Leak[]
}

/** Long enough not to be met by chance, short enough to find a value that was cut. */
const PIECE = 20

export function createScanner(): Scanner {
  const known = new Set<string>()
  const needles: { readonly label: string; readonly form: string; readonly bytes: Buffer }[] = []
  const look: Scanner['look'] = (where, given, except = []) => {
    const bytes = typeof given === 'string' ? Buffer.from(given) : given
    return needles.flatMap((needle) =>
      !except.includes(needle.label) && bytes.includes(needle.bytes)
        ? [[where, needle.label, needle.form] as const]
        : [],
    )
  }
  return {
    plant(label, value) {
      if (known.has(`${label} ${value}`)) return
      known.add(`${label} ${value}`)
      const pieces = new Set([value, value.slice(0, PIECE), value.slice(-PIECE)])
      for (const piece of pieces)
        for (const [form, bytes] of formsOf(piece)) needles.push({ label, form, bytes })
    },
    look,
    lookBelow(folder, except) {
      const found: Leak[] = []
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || except.includes(entry.name)) continue
        const path = join(entry.parentPath, entry.name)
        found.push(...look(path, readFileSync(path)), ...look(`the name of ${path}`, path))
      }
      return found
    },
  }
}

/** How a text is spelt in bytes, by name. */
export function formsOf(text: string): readonly (readonly [form: string, bytes: Buffer])[] {
  const bytes = Buffer.from(text)
  const hex = bytes.toString('hex')
  const percent = hex.replace(/../g, '%$&')
  const base64 = [0, 1, 2].map((offset) => base64Inside(bytes, offset))
  // oxfmt-ignore
  const forms: readonly (readonly [string, string])[] = [
    ['plain', text],
    ['JSON', JSON.stringify(text).slice(1, -1)],
    ['JSON in JSON', JSON.stringify(JSON.stringify(text)).slice(3, -3)],
    ['percent', encodeURIComponent(text)],
    ['percent, all', percent], ['percent, all, upper', percent.toUpperCase()],
    ['hex', hex], ['hex, upper', hex.toUpperCase()],
    ...base64.map((inside, offset) => [`base64 at ${offset}`, inside] as const),
    ...base64.map((inside, offset) => [`base64url at ${offset}`, inside.replaceAll('+', '-').replaceAll('/', '_')] as const),
  ]
  return [
    ...forms.map(([form, spelt]) => [form, Buffer.from(spelt)] as const),
    ['UTF-16', Buffer.from(text, 'utf16le')],
  ]
}

/** What the base64 of something that holds these bytes at `offset` (modulo 3) has for certain. */
function base64Inside(bytes: Buffer, offset: number): string {
  const whole = Buffer.concat([Buffer.alloc(offset), bytes])
  const from = Math.ceil((offset * 8) / 6)
  return whole.toString('base64').slice(from, Math.floor((whole.length * 8) / 6))
}
