import { readServerUri } from '../../protocol/server-uri.ts'
import type { Scope } from '../forward/pool.ts'
import type { ServerView } from '../snapshot.ts'
import type { Catalog } from './catalog.ts'
import type { LinksSeen } from './links-seen.ts'

/** Where a URI leads. */
export interface Located {
  /** Best guess first. */
  readonly servers: readonly ServerView[]
  /** What they call it. */
  readonly uri: string
}

export interface LocateDeps {
  readonly catalog: Catalog
  readonly links: LinksSeen
  /** The endpoint has several servers, whose URIs we tell apart; the caller may use fewer. */
  readonly toldApart: boolean
}

/**
 * Whose a URI is: who lists it; the server that it names, where URIs were told apart by us; then whose template fits, then
 * who has named it, then everyone who has resources at all. URIs are unique per server only, so the project's order
 * decides between equals.
 */
export async function locateResource(
  { catalog, links, toldApart }: LocateDeps,
  servers: readonly ServerView[],
  scope: Scope,
  uri: string,
): Promise<Located> {
  if (servers.length === 1 && !toldApart) return { servers, uri }
  const lists = await Promise.all(
    servers.map(async (server) => ({
      server,
      resources: await catalog.load(server, scope, 'resources'),
      templates: await catalog.load(server, scope, 'templates'),
    })),
  )
  const rank = ({ server, resources, templates }: (typeof lists)[number]): number => {
    if (resources.byKey.has(uri) || templates.byKey.has(uri)) return 0
    if (templates.items.some((template) => fits(template.key, uri))) return 1
    if (links.has(server.name, uri)) return 2
    return resources.failure === undefined && resources.items.length + templates.items.length > 0 ? 3 : 4
  }
  const ranked = lists.map((list, order) => ({ server: list.server, rank: rank(list), order }))
  const named = ranked.some((entry) => entry.rank === 0) ? undefined : readServerUri(uri)
  const only = named === undefined ? undefined : servers.find(({ name }) => name === named.server)
  if (named !== undefined && only !== undefined) return { servers: [only], uri: named.uri }
  const found = ranked
    .filter((entry) => entry.rank < 4)
    .toSorted((a, b) => a.rank - b.rank || a.order - b.order)
    .map((entry) => entry.server)
  return { servers: found, uri }
}

/** RFC 6570, as far as routing needs it: the literal parts in order, expressions match anything. */
export function fits(template: string, uri: string): boolean {
  const literals = template.split(EXPRESSION)
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

export const EXPRESSION = /\{[^{}]*\}/g
