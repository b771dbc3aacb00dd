import { usage } from './failure.ts'

/**
 * The two halves of `NAME=VALUE` or `SECRET/KEY`; the second may be empty.
 *
 * @param form how to write it, for the message
 * @throws CliFailure
 */
export function halves(text: string, separator: '=' | '/', form: string): [string, string] {
  const at = text.indexOf(separator)
  if (at <= 0) throw usage('an option is not in its form', `write it as ${form}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** `NAME=VALUE` of an option that may be repeated, by name; each name once. */
export function pairs(option: string, given: readonly string[]): ReadonlyMap<string, string> {
  const all = given.map((text) => halves(text, '=', `${option} NAME=VALUE`))
  const found = new Map(all)
  if (found.size < all.length)
    throw usage(`${option}: a name is given twice`, `write: ${option} NAME=VALUE, each name once`)
  return found
}

/** `SECRET/KEY`: a value that is kept in a Secret. */
export function secretRef(text: string, form: string): { readonly name: string; readonly key: string } {
  const [name, key] = halves(text, '/', form)
  return { name, key }
}
