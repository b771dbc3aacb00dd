import type { Era } from '../protocol/revisions.ts'
import type { Caller } from './caller.ts'
import { shortHash, type EdgeProject } from './project.ts'
import { viewFor, type ProjectView, type ServerView } from './views.ts'

/** What the gateway sees of the configuration: for each caller what was fetched for them, and with their credential. */
export interface ViewTable {
  /** @param project undefined: they see nothing */
  set(caller: Caller, project: EdgeProject | undefined): void
  /** By the uid of a view that somebody has. */
  server(uid: string): ServerView | undefined
}

export interface ViewTableOptions {
  readonly controlUrl: string
  readonly mayReach: boolean
  readonly grantOf: (caller: Caller) => string
}

export function createViewTable({ controlUrl, mayReach, grantOf }: ViewTableOptions): ViewTable {
  const servers = new Map<string, { readonly view: ServerView; holders: number }>()

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

  function release(view: ProjectView): void {
    for (const server of view.servers) {
      const there = servers.get(server.uid)
      if (there?.view === server && --there.holders === 0) servers.delete(server.uid)
    }
  }

  return {
    set(caller, project) {
      const before = caller.views
      const options = { controlUrl, mayReach, caller: shortHash(caller.key), grant: grantOf(caller) }
      const viewIn = (era: Era, of: EdgeProject): ProjectView => hold(viewFor(of, { ...options, era }))
      caller.views =
        project === undefined
          ? undefined
          : { legacy: viewIn('legacy', project), modern: viewIn('modern', project) }
      if (before === undefined) return
      release(before.legacy)
      release(before.modern)
    },
    server: (uid) => servers.get(uid)?.view,
  }
}
