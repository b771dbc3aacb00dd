import type { Caller } from './caller.ts'
import { shortHash, type EdgeProject } from './project.ts'
import { viewFor, type ProjectView, type ServerView } from './views.ts'

/** What the gateway sees of the configuration: for each caller what was fetched for them, and with their credential. */
export interface ViewTable {
  /** @param project undefined: they see nothing */
  set(caller: Caller, project: EdgeProject | undefined): void
  /** Other views of the same: whatever was lost is opened anew. */
  renew(callers: Iterable<Caller>): void
  /** By the uid of a view that somebody has. */
  server(uid: string): ServerView | undefined
}

export interface ViewTableOptions {
  readonly controlUrl: string
  readonly mayReach: boolean
  readonly grantOf: (caller: Caller) => string
}

export function createViewTable({ controlUrl, mayReach, grantOf }: ViewTableOptions): ViewTable {
  const fetched = new Map<Caller, EdgeProject>()
  const servers = new Map<string, { readonly view: ServerView; holders: number }>()
  let round = 0

  function hold(view: ProjectView): ProjectView {
    // One object for one uid and fingerprint: the gateway's caches key on it.
    const held = view.servers.map((server) => {
      const there = servers.get(server.uid)
      if (there?.view.fingerprint === server.fingerprint) {
        there.holders++
        return there.view
      }
      servers.set(server.uid, { view: server, holders: 1 })
      return server
    })
    return { ...view, servers: held }
  }

  function release(view: ProjectView | undefined): void {
    for (const server of view?.servers ?? []) {
      const there = servers.get(server.uid)
      if (there?.view === server && --there.holders === 0) servers.delete(server.uid)
    }
  }

  function set(caller: Caller, project: EdgeProject | undefined): void {
    const before = caller.view
    if (project === undefined) fetched.delete(caller)
    else fetched.set(caller, project)
    const options = { controlUrl, mayReach, round, caller: shortHash(caller.key), grant: grantOf(caller) }
    caller.view = project === undefined ? undefined : hold(viewFor(project, options))
    release(before)
  }

  return {
    set,
    renew(callers) {
      round++
      for (const caller of callers) {
        const project = fetched.get(caller)
        if (project !== undefined) set(caller, project)
      }
    },
    server: (uid) => servers.get(uid)?.view,
  }
}
