import type { Scope } from '../forward/pool.ts'
import type { ServerView } from '../snapshot.ts'
import type { Catalog } from './catalog.ts'

/**
 * Whose a URI is, best guess first: who lists it, then whose template fits, then everyone who has resources at all
 * (results may name resources that no list holds). URIs are unique per server only, so the project's order decides.
 */
export async function serversWithResource(
  catalog: Catalog,
  servers: readonly ServerView[],
  scope: Scope,
  uri: string,
): Promise<ServerView[]> {
  if (servers.length === 1) return [...servers]
  const lists = await Promise.all(
    servers.map(async (server) => ({
      server,
      resources: await catalog.load(server, scope, 'resources'),
      templates: await catalog.load(server, scope, 'templates'),
    })),
  )
  const rank = (list: (typeof lists)[number]): number => {
    if (list.resources.byKey.has(uri)) return 0
    if (list.templates.items.some((template) => fits(template.key, uri))) return 1
    return list.resources.failure === undefined &&
      list.resources.items.length + list.templates.items.length > 0
      ? 2
      : 3
  }
  return lists
    .map((list, order) => ({ server: list.server, rank: rank(list), order }))
    .filter((entry) => entry.rank < 3)
    .toSorted((a, b) => a.rank - b.rank || a.order - b.order)
    .map((entry) => entry.server)
}

/** RFC 6570, as far as routing needs it: the literal parts in order, expressions match anything. */
export function fits(template: string, uri: string): boolean {
  const literals = template.split(/\{[^{}]*\}/)
  const first = literals[0] ?? ''
  const last = literals.at(-1) ?? ''
  if (literals.length === 1) return template === uri
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false
  let from = first.length
  for (const literal of literals.slice(1, -1)) {
    const at = uri.indexOf(literal, from)
    if (at < 0 || at + literal.length > uri.length - last.length) return false
    from = at + literal.length
  }
  return true
}
