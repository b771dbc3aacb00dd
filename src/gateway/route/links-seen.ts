/**
 * URIs that servers of one project have named in results: whose a resource is that nobody lists. Bounded; the ones not
 * named for the longest time are forgotten first, and then only the order changes in which servers are asked.
 */
export interface LinksSeen {
  saw(server: string, uri: string): void
  has(server: string, uri: string): boolean
}

const MAX_OF_ONE_SERVER = 1000
const MAX_CHARS = 2048

export function createLinksSeen(): LinksSeen {
  const byServer = new Map<string, Set<string>>()
  return {
    saw(server, uri) {
      if (uri.length > MAX_CHARS) return
      const seen = byServer.get(server) ?? new Set()
      byServer.set(server, seen)
      // Moved to the end.
      seen.delete(uri)
      seen.add(uri)
      const [oldest] = seen
      if (seen.size > MAX_OF_ONE_SERVER && oldest !== undefined) seen.delete(oldest)
    },
    has: (server, uri) => byServer.get(server)?.has(uri) === true,
  }
}
