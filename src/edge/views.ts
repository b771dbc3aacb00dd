import { isLoopback } from '../lib/loopback.ts'
import type { ProjectSpec } from '../kinds/project.ts'
import type { ServerSpec } from '../kinds/server.ts'
import type { Era } from '../protocol/revisions.ts'
import { shortHash, type EdgeProject, type EdgeServer } from './project.ts'

/** As the gateway reads a Server. */
export interface ServerView {
  readonly uid: string
  readonly name: string
  readonly spec: ServerSpec
  readonly fingerprint: string
  /** Nobody but one caller uses it. */
  readonly ofOneCaller?: boolean
}

export interface ProjectView {
  readonly uid: string
  readonly name: string
  readonly spec: ProjectSpec
  readonly servers: readonly ServerView[]
}

export interface ViewOptions {
  /** Of the control plane, without a trailing slash. */
  readonly controlUrl: string
  /** Servers may be reached from here: there is a record to put such calls on. */
  readonly mayReach: boolean
  /** Whose view it is: part of every uid that is not everybody's. */
  readonly caller: string
  /** Names the caller's credential in place of a grant. */
  readonly grant: string
  /** How clients speak that are served with it. */
  readonly era: Era
}

/** More than the control plane waits itself, so that it is the one to say what went wrong. */
const MORE_SECONDS = 5

/**
 * The project as the gateway of an edge serves it to one caller. What has to go through the control plane is a Server of
 * that caller alone, reached with their own credential: connections, lists and failures of two callers never meet.
 * What the edge reaches by itself carries no credential and is shared. The control plane is spoken to as the client
 * speaks: each session of a client is one there as well, and has what a Server keeps for one.
 */
export const viewFor = (project: EdgeProject, options: ViewOptions): ProjectView => ({
  uid: project.uid,
  name: project.name,
  spec: project.spec,
  servers: project.servers.map((server) =>
    server.direct !== undefined && options.mayReach && isReachable(server.direct, options.controlUrl)
      ? directView(server, server.direct)
      : throughControl(project.name, server, options),
  ),
})

/** Two callers can know different versions of it for a moment: each version is a Server of its own here. */
function directView({ uid, name }: EdgeServer, spec: ServerSpec): ServerView {
  const fingerprint = shortHash(JSON.stringify(spec))
  return { uid: `${uid}#${fingerprint}`, name, spec, fingerprint }
}

function throughControl(
  project: string,
  { uid, name, timeouts }: EdgeServer,
  { controlUrl, caller, grant, era }: ViewOptions,
): ServerView {
  const spec: ServerSpec = {
    transport: 'http',
    url: `${controlUrl}/projects/${project}/servers/${name}/mcp`,
    headers: [],
    auth: { grant, format: 'bearer' },
    protocol: era,
    timeouts: {
      connectSeconds: timeouts.connectSeconds + MORE_SECONDS,
      callSeconds: timeouts.callSeconds + MORE_SECONDS,
      answerSeconds: timeouts.answerSeconds,
    },
    tools: { deny: [] },
  }
  const fingerprint = shortHash(JSON.stringify([uid, caller, spec]))
  return { uid: `${uid}@${caller}/${era}`, name, spec, fingerprint, ofOneCaller: true }
}

/** A loopback address means another host there than here, unless the control plane is on this one. */
const isReachable = (spec: ServerSpec, controlUrl: string): boolean =>
  spec.transport !== 'stdio' && (!isHere(spec.url) || isHere(controlUrl))

const isHere = (url: string): boolean => isLoopback(new URL(url).hostname)
