/** `{{path}}` in a text of a Template stands for its parameter `path`. */
const PLACEHOLDER = /\{\{([A-Za-z][A-Za-z0-9-]{0,39})\}\}/g
/** Anything in double braces: what is not a placeholder is a misspelt one. */
const BRACES = /\{\{[^{}]*\}\}/g

/** A text of a template: where it stands (`args[2]`) and what it says. */
interface Text {
  readonly path: string
  readonly text: string
}

/** All texts in a value, keys left out. Values are JSON, and bounded in depth by admission. */
function textsIn(value: unknown, path = ''): readonly Text[] {
  if (typeof value === 'string') return [{ path, text: value }]
  if (Array.isArray(value)) return value.flatMap((item, i) => textsIn(item, `${path}[${i}]`))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    textsIn(inner, path === '' ? shownField(key) : `${path}.${shownField(key)}`),
  )
}

/** Messages repeat no text that could be anything. */
const shownField = (key: string): string => (/^[A-Za-z][A-Za-z0-9]{0,39}$/.test(key) ? key : '…')

const namesIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(PLACEHOLDER), ([, name = '']) => name)

/** Where placeholders stand that no parameter has the name of. */
export const unknownPlaceholders = (server: unknown, parameters: readonly string[]): readonly string[] =>
  textsIn(server).flatMap(({ path, text }) => {
    const known = namesIn(text).filter((name) => parameters.includes(name))
    return Array.from(text.matchAll(BRACES)).length === known.length ? [] : [path]
  })

/** Where a parameter stands: `env[0].value`. */
export const placesOf = (server: unknown, parameter: string): readonly string[] =>
  textsIn(server).flatMap(({ path, text }) => (namesIn(text).includes(parameter) ? [path] : []))

/**
 * The spec of a Server with every placeholder filled in. A value replaces text and nothing else: one argument stays
 * one argument, and what a value looks like is not looked at again.
 *
 * @param values by name; a placeholder without one stays as it is
 */
export function fillTemplate(server: unknown, values: ReadonlyMap<string, string>): unknown {
  if (typeof server === 'string')
    return server.replaceAll(PLACEHOLDER, (all, name: string) => values.get(name) ?? all)
  if (Array.isArray(server)) return server.map((item) => fillTemplate(item, values))
  if (typeof server !== 'object' || server === null) return server
  return Object.fromEntries(Object.entries(server).map(([key, inner]) => [key, fillTemplate(inner, values)]))
}
