import { hash } from 'node:crypto'
import type { Authorizer } from '../../access/authorize.ts'
import { reachesAny, type ProjectAccess } from '../../access/project-access.ts'
import type { ProjectSpec } from '../../kinds/project.ts'
import type { ServerSpec } from '../../kinds/server.ts'
import { Fault } from '../../lib/fault.ts'
import type { ProjectView, ServerView } from '../snapshot/views.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { json, type FixedRoute } from './route.ts'

/** A Server as an edge may know it. Holds no secret, no grant, and no name of either. */
interface EdgeServer {
  readonly uid: string
  readonly name: string
  /** `direct`: an edge may reach it by itself, with `spec`. `control`: only the control plane can. */
  readonly via: 'direct' | 'control'
  /** Of one that is reached directly. */
  readonly spec?: ServerSpec
  /** Of the others: how long calls may take. */
  readonly timeouts?: ServerSpec['timeouts']
}

interface EdgeProject {
  readonly uid: string
  readonly name: string
  readonly spec: ProjectSpec
  /** In the order of `spec.servers`. */
  readonly servers: readonly EdgeServer[]
}

/** A project as one caller's edge sees it. */
export interface EdgeView {
  readonly body: EdgeProject
  /** Differs whenever the body does. */
  readonly revision: string
}

const known = new WeakMap<ProjectView, Map<string, EdgeView>>()
/** How many different rights on one project are remembered. */
const MAX_RIGHTS = 1000

/** Worked out once for everybody with the same rights: views are other objects as soon as anything in them changes. */
export function edgeView(project: ProjectView, access: ProjectAccess): EdgeView {
  const ofProject = known.get(project) ?? new Map<string, EdgeView>()
  known.set(project, ofProject)
  const found = ofProject.get(access.key)
  if (found !== undefined) return found
  const { uid, name, spec } = project
  // Of a server that they may use nothing of, they do not even learn that it is there.
  const servers = project.servers.filter((server) => access.reaches(server.name))
  const body = {
    uid,
    name,
    spec: { ...spec, servers: servers.map((server) => server.name) },
    servers: servers.map((server) => edgeServer(server, access)),
  }
  const view = { body, revision: hash('sha256', JSON.stringify(body), 'base64url').slice(0, 22) }
  if (ofProject.size >= MAX_RIGHTS) ofProject.clear()
  ofProject.set(access.key, view)
  return view
}

/** Whoever may use some of its tools only is held to that here, and has no need to know where it is. */
function edgeServer({ uid, name, spec }: ServerView, access: ProjectAccess): EdgeServer {
  if (needsNothing(spec) && access.server(name)) return { uid, name, via: 'direct', spec }
  return { uid, name, via: 'control', timeouts: spec.timeouts }
}

/** It is reached over the network, and nothing is to be sent along that an edge may not have. */
const needsNothing = (spec: ServerSpec): boolean =>
  (spec.transport === 'http' || spec.transport === 'sse') &&
  spec.auth === undefined &&
  spec.headers.every(({ valueFrom }) => valueFrom === undefined)

export interface EdgeRouteDeps {
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly authorizer: Pick<Authorizer, 'project'>
}

export const edgeRoutes = ({ snapshot, authorizer }: EdgeRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/projects/{name}/edge',
    summary:
      'A project as an edge gateway needs it to serve the caller: which servers it reaches by itself, and which through here. For whoever may use any of the project over MCP.',
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json'] },
    handle({ request, principal, params }) {
      const name = params['name'] ?? ''
      const project = snapshot.state().projects.get(name)
      const given = authorizer.project(principal, name)
      const access = given !== undefined && reachesAny(given, project?.servers ?? []) ? given : undefined
      // A Token hears the same of every project but its own, everybody else the same as of one that is not there.
      if (access === undefined && principal.kind === 'token')
        throw new Fault('forbidden', { hint: 'the token has no right to use anything of this project' })
      if (access === undefined || project === undefined)
        throw new Fault('not_found', { hint: 'castellan get projects lists those you see' })
      const { body, revision } = edgeView(project, access)
      const etag = `"${revision}"`
      if (request.headers.get('if-none-match') === etag)
        return new Response(null, { status: 304, headers: { etag, 'cache-control': 'no-store' } })
      const response = json(body)
      response.headers.set('etag', etag)
      return response
    },
  },
]
