import type { ProjectAccess } from '../../../access/project-access.ts'
import type { ProjectView, ServerView, SnapshotSource } from '../../snapshot.ts'
import { ALL_LISTS, LIST_BIT, type Change } from './change.ts'

/** Who hears what is said unasked: the stream of a legacy session, a `subscriptions/listen` of a modern client. */
export interface Listener {
  readonly principal: string
  /** Legacy: the session whose stream it is. */
  readonly session: string | undefined
  readonly project: string
  /** The one server of its endpoint, or undefined on the aggregated one. */
  readonly server: string | undefined
  /** @param lists bits of `LIST_BIT` */
  listsChanged(lists: number): void
  /** A resource that it has subscribed to has changed. */
  updated(uri: string, change: Change): void
}

/** Brings what changed to those who hear of it; several changes of one thing within a moment are one. */
export interface Bus {
  join(listener: Listener): void
  leave(listener: Listener): void
  /**
   * @param lists bits of `LIST_BIT`
   * @param sharer whose lists they are, as the pool names who shares a connection; '': everybody's
   */
  listsChanged(server: ServerView, lists: number, sharer: string): void
  /** Everything about a project may have changed: its servers, its rules. */
  projectChanged(project: string): void
  /** A server was changed, made or removed. */
  serverChanged(name: string): void
  listsChangedFor(listener: Listener, lists: number): void
  /** @param server that has the resource */
  updated(
    uri: string,
    to: { readonly listeners: ReadonlySet<Listener>; readonly server: string },
    change: Change,
  ): void
  /** Somebody would hear of changes of its lists. */
  isHeard(server: ServerView): boolean
  /** Uids of all Servers of which that is so. */
  heard(): ReadonlySet<string>
  close(): void
}

/** Several changes within this time are one notification. */
const TOGETHER_MS = 50

/** Those who listen on one endpoint. */
interface Group {
  readonly project: string
  /** Whose view of the project they have. */
  readonly viewer: string
  readonly server: string | undefined
  readonly listeners: Set<Listener>
  /** By whose lists they see besides everybody's: a principal, a session. */
  readonly bySharer: Map<string, Set<Listener>>
}

const sharersOf = (listener: Listener): readonly string[] =>
  listener.session === undefined ? [listener.principal] : [listener.principal, `session:${listener.session}`]

/** @param accessOf what a listener may use of its project at this moment: of the rest it hears nothing */
export function createBus(
  snapshot: SnapshotSource,
  accessOf: (listener: Listener) => ProjectAccess | undefined,
): Bus {
  const groups = new Map<string, Group>()
  const groupOf = new Map<Listener, Group>()
  const uids = new WeakMap<ProjectView, ReadonlySet<string>>()
  const due = new Map<Listener, number>()
  const updates = new Map<
    ReadonlySet<Listener>,
    { readonly uri: string; readonly server: string; readonly change: Change }
  >()
  let timer: NodeJS.Timeout | undefined

  const viewerOf = ({ project, principal, session }: Listener): string =>
    snapshot.viewer(project, principal, session === undefined ? 'modern' : 'legacy')
  const keyOf = ({ project, server, viewer }: Pick<Group, 'project' | 'server' | 'viewer'>): string =>
    `${project} ${server ?? ''} ${viewer}`
  const projectOf = ({ project, viewer }: Group): ProjectView | undefined =>
    snapshot.current().project(project, viewer)

  function uidsOf(project: ProjectView): ReadonlySet<string> {
    let found = uids.get(project)
    if (found === undefined) {
      found = new Set(project.servers.map(({ uid }) => uid))
      uids.set(project, found)
    }
    return found
  }

  function concerns(group: Group, server: ServerView): boolean {
    if (group.server !== undefined && group.server !== server.name) return false
    const project = projectOf(group)
    return project !== undefined && uidsOf(project).has(server.uid)
  }

  /** Of whom some tools may be used, the tools are heard of; prompts and resources are for who may use all of it. */
  function laterOf(listener: Listener, server: string, lists: number): void {
    const access = accessOf(listener)
    if (access?.server(server) === true) later(listener, lists)
    else if (access?.reaches(server) === true && (lists & LIST_BIT.tools) !== 0)
      later(listener, LIST_BIT.tools)
  }

  function later(listener: Listener, lists: number): void {
    due.set(listener, (due.get(listener) ?? 0) | lists)
    timer ??= setTimeout(tell, TOGETHER_MS)
  }

  function tell(): void {
    timer = undefined
    const lists = [...due]
    const resources = [...updates]
    due.clear()
    updates.clear()
    for (const [listener, bits] of lists) listener.listsChanged(bits)
    for (const [listeners, { uri, server, change }] of resources)
      for (const listener of listeners)
        if (accessOf(listener)?.server(server) === true) listener.updated(uri, change)
  }

  function join(listener: Listener): void {
    const { project, server } = listener
    const made: Group = {
      project,
      viewer: viewerOf(listener),
      server,
      listeners: new Set(),
      bySharer: new Map(),
    }
    const group = groups.get(keyOf(made)) ?? made
    groups.set(keyOf(group), group)
    groupOf.set(listener, group)
    group.listeners.add(listener)
    for (const sharer of sharersOf(listener)) {
      const set = group.bySharer.get(sharer) ?? new Set()
      group.bySharer.set(sharer, set.add(listener))
    }
  }

  function part(listener: Listener): void {
    const group = groupOf.get(listener)
    if (group?.listeners.delete(listener) !== true) return
    groupOf.delete(listener)
    for (const sharer of sharersOf(listener)) {
      const set = group.bySharer.get(sharer)
      if (set?.delete(listener) === true && set.size === 0) group.bySharer.delete(sharer)
    }
    if (group.listeners.size === 0) groups.delete(keyOf(group))
  }

  /** A server of the project may be reached with other grants than before: who sees what is worked out again. */
  function regroup(concerned: (group: Group) => boolean): void {
    const moved = [...groupOf].flatMap(([listener, group]) =>
      concerned(group) && group.viewer !== viewerOf(listener) ? [listener] : [],
    )
    for (const listener of moved) {
      part(listener)
      join(listener)
    }
  }

  return {
    join,
    leave(listener) {
      due.delete(listener)
      part(listener)
    },
    listsChanged(server, lists, sharer) {
      for (const group of groups.values()) {
        const concerned = sharer === '' ? group.listeners : group.bySharer.get(sharer)
        if (concerned === undefined || !concerns(group, server)) continue
        for (const listener of concerned) laterOf(listener, server.name, lists)
      }
    },
    projectChanged(project) {
      regroup((group) => group.project === project)
      for (const group of groups.values())
        if (group.project === project) for (const listener of group.listeners) later(listener, ALL_LISTS)
    },
    serverChanged(name) {
      regroup((group) => projectOf(group)?.spec.servers.includes(name) === true)
      for (const group of groups.values()) {
        if (group.server !== undefined && group.server !== name) continue
        if (projectOf(group)?.spec.servers.includes(name) !== true) continue
        for (const listener of group.listeners) laterOf(listener, name, ALL_LISTS)
      }
    },
    listsChangedFor: later,
    updated(uri, { listeners, server }, change) {
      // The set of those who hear of a resource is one object for as long as anybody does.
      updates.set(listeners, { uri, server, change })
      timer ??= setTimeout(tell, TOGETHER_MS)
    },
    heard() {
      const uids = new Set<string>()
      for (const group of groups.values())
        for (const { name, uid } of projectOf(group)?.servers ?? [])
          if (group.server === undefined || group.server === name) uids.add(uid)
      return uids
    },
    isHeard(server) {
      for (const group of groups.values()) if (concerns(group, server)) return true
      return false
    },
    close: () => clearTimeout(timer),
  }
}
