import type { SnapshotSource as ControlSnapshot } from '../control/snapshot/snapshot.ts'
import type { ProjectView, ServerView, Snapshot, SnapshotSource } from '../gateway/snapshot.ts'
import { SHARED, type Holder } from '../grants/holder.ts'
import { isEachPersons } from '../grants/named-grant.ts'
import type { ServerSpec } from '../kinds/server.ts'

/**
 * The configuration with a Server of their own for everybody who reaches one with grants of their own: connections,
 * lists and failures of two holders never meet, since everything that the gateway keeps it keeps for one Server.
 */
export function createPersonalViews(snapshot: ControlSnapshot): SnapshotSource {
  const servers = createDerived((server: ServerView, holder) => ({
    ...ofHolder(server, holder),
    holderName: snapshot.state().byUid.get(holder.slice(holder.indexOf(':') + 1))?.resource.metadata.name,
  }))
  const projects = createDerived((project: ProjectView, person) => ({
    ...project,
    servers: project.servers.map((server) => {
      const holder = holderAt(server.spec, project.uid, person)
      return holder === SHARED ? server : servers.of(server, holder)
    }),
  }))
  const personal = new WeakMap<ProjectView, Personal>()

  function personalOf(project: ProjectView): Personal {
    let found = personal.get(project)
    if (found === undefined) {
      const whose = project.servers.map(({ spec }) => whoseOf(spec))
      found = {
        differs: whose.some((one) => one !== 'shared'),
        byPerson: whose.some(isEachPersons),
      }
      personal.set(project, found)
    }
    return found
  }

  const viewOf = (project: ProjectView, viewer: string): ProjectView =>
    personalOf(project).differs ? projects.of(project, viewer) : project

  let current: { readonly of: ReturnType<ControlSnapshot['current']>; readonly is: Snapshot } | undefined
  return {
    viewer(name, principal) {
      const project = snapshot.current().project(name)
      return project !== undefined && personalOf(project).byPerson ? personOf(snapshot, principal) : SHARED
    },
    current() {
      const of = snapshot.current()
      if (current?.of === of) return current.is
      const is: Snapshot = {
        revision: of.revision,
        project(name, viewer = SHARED) {
          const project = of.project(name)
          return project && viewOf(project, viewer)
        },
        projects: of.projects,
        server(name, uid) {
          const server = of.server(name)
          const holder = uid === undefined ? undefined : holderIn(uid)
          if (server === undefined || holder === undefined) return server
          return uid === uidFor(server, holder) && isStillFor(server.spec, holder)
            ? servers.of(server, holder)
            : undefined
        },
      }
      current = { of, is }
      return is
    },
    secretValue: (secret, key) => snapshot.secretValue(secret, key),
  }
}

interface Personal {
  /** It has servers that are not reached with what all share. */
  readonly differs: boolean
  /** With what each person has. */
  readonly byPerson: boolean
}

/** Whoever acts as somebody else, or for nobody, has no grants of their own. */
const NOBODY = 'nobody'

/** Whose connections somebody has: their own; of a token, those of its owner. */
export function personOf(snapshot: Pick<ControlSnapshot, 'state'>, principal: string): Holder {
  if (principal === 'local-admin') return principal
  const [kind, uid = ''] = principal.split(':', 2)
  if (kind === 'user') return `user:${uid}`
  if (kind !== 'token') return NOBODY
  const { digests, credentials } = snapshot.state()
  const token = credentials.get(digests.get(uid) ?? '')
  if (token?.kind !== 'token') return NOBODY
  if (token.owner === undefined) return 'local-admin'
  return token.owner.kind === 'User' ? `user:${token.owner.uid}` : `service-account:${token.owner.uid}`
}

const whoseOf = (spec: ServerSpec) => (spec.transport === 'stdio' ? 'shared' : (spec.auth?.whose ?? 'shared'))

function holderAt(spec: ServerSpec, project: string, person: string): string {
  const whose = whoseOf(spec)
  if (whose === 'shared') return SHARED
  return whose === 'per-project' ? `project:${project}` : person
}

const isStillFor = (spec: ServerSpec, holder: string): boolean => {
  const whose = whoseOf(spec)
  return whose !== 'shared' && (whose === 'per-project') === holder.startsWith('project:')
}

const uidFor = ({ uid }: ServerView, holder: string): string => `${uid}~${holder}`

/** Whose view has this uid; undefined: everybody's. */
export function holderIn(uid: string): string | undefined {
  const at = uid.indexOf('~')
  return at < 0 ? undefined : uid.slice(at + 1)
}

const ofHolder = (server: ServerView, holder: string): ServerView => ({
  uid: uidFor(server, holder),
  name: server.name,
  spec: server.spec,
  fingerprint: `${server.fingerprint}~${holder}`,
  ofOneCaller: true,
  holder,
})

/** Of those who are there at one time; for others it is derived anew. */
const MAX_HOLDERS = 4000

/** One object for one view and holder, as long as the view is the same: the gateway's caches key on it. */
function createDerived<View extends object>(derive: (view: View, holder: string) => View) {
  const known = new WeakMap<View, Map<string, View>>()
  return {
    of(view: View, holder: string): View {
      const holders = known.get(view) ?? new Map<string, View>()
      known.set(view, holders)
      const found = holders.get(holder)
      if (found !== undefined) return found
      const [oldest] = holders.keys()
      if (holders.size >= MAX_HOLDERS && oldest !== undefined) holders.delete(oldest)
      const made = derive(view, holder)
      holders.set(holder, made)
      return made
    },
  }
}
