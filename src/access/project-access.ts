import { compileGlobs, fitsSomeWith } from '../protocol/glob.ts'

/** What one list of rights gives in one project: all of it, or tools and whole servers by glob. Plain data. */
export type ToolScope = 'all' | { readonly tools: readonly string[]; readonly servers: readonly string[] }

/** What a principal may use of a project; the same object as long as nothing changes, so caches may key on `key`. */
export interface ProjectAccess {
  /** Equal for equal access. `''`: all of it. */
  readonly key: string
  readonly all: boolean
  /** What has to be met, every one of them: a token's own rights, and those of its owner. */
  readonly scopes: readonly ToolScope[]
  /** @param exposed the name of the tool on the aggregated endpoint */
  tool(exposed: string, server: string): boolean
  /** All of a server: its prompts and resources too. */
  server(name: string): boolean
  /** Whether there can be a tool of it: what has none is not there, as far as the principal can tell. */
  reaches(server: string): boolean
}

export const FULL_ACCESS: ProjectAccess = {
  key: '',
  all: true,
  scopes: ['all'],
  tool: () => true,
  server: () => true,
  reaches: () => true,
}

/** Names of tools whose verdict one access remembers. */
const MAX_DECIDED = 1000

/** Rights on servers and tools that a project does not have open no door to it: it is not there for whoever has no more. */
export const reachesAny = (access: ProjectAccess, servers: readonly { readonly name: string }[]): boolean =>
  access.all || servers.some(({ name }) => access.reaches(name))

/** @param scopes each has to be met; undefined among them: nothing in the project may be used */
export function compileAccess(scopes: readonly (ToolScope | undefined)[]): ProjectAccess | undefined {
  if (scopes.length === 0 || scopes.includes(undefined)) return undefined
  const narrow = scopes.filter((scope) => scope !== 'all' && scope !== undefined)
  if (narrow.length === 0) return FULL_ACCESS
  // A call costs the same however many globs somebody holds. The server is part of the name.
  const decided = new Map<string, boolean>()
  const compiled = narrow.map(({ tools, servers }) => ({
    tools: compileGlobs(tools),
    servers: compileGlobs(servers),
  }))
  return {
    key: JSON.stringify(narrow.map(({ tools, servers }) => [tools.toSorted(), servers.toSorted()])),
    all: false,
    scopes: narrow,
    tool(exposed, server) {
      const known = decided.get(exposed)
      if (known !== undefined) return known
      const may = compiled.every((scope) => scope.servers(server) || scope.tools(exposed))
      if (decided.size >= MAX_DECIDED) decided.clear()
      decided.set(exposed, may)
      return may
    },
    server: (name) => compiled.every((scope) => scope.servers(name)),
    reaches: (name) =>
      compiled.every(
        (scope, i) => scope.servers(name) || narrow[i]?.tools.some((glob) => fitsSomeWith(glob, `${name}__`)),
      ),
  }
}
