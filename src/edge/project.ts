import { hash } from 'node:crypto'
import { Project, type ProjectSpec } from '../kinds/project.ts'
import { Server, type ServerSpec } from '../kinds/server.ts'
import { objectOf, texts } from './standing.ts'

/** A Server as the control plane lets a caller's edge know it. */
export interface EdgeServer {
  readonly uid: string
  readonly name: string
  /** What to reach it with; undefined: the control plane does. */
  readonly direct: ServerSpec | undefined
  readonly timeouts: ServerSpec['timeouts']
}

export interface EdgeProject {
  readonly uid: string
  readonly name: string
  readonly spec: ProjectSpec
  readonly servers: readonly EdgeServer[]
}

const NAME = /^[a-z0-9-]{1,40}$/

/**
 * Reads an answer of `GET /api/v1/projects/{name}/edge`. A Server that this version does not understand is left to the
 * control plane.
 *
 * @returns undefined when it is not such an answer
 */
export function readEdgeProject(value: unknown, wanted: string): EdgeProject | undefined {
  const said = objectOf(value)
  const [uid, name] = texts(said, ['uid', 'name'])
  // What a newer control plane says of a project besides is for itself to keep.
  const spec = Project.spec.safeParse(knownFields(said?.['spec'], Object.keys(Project.spec.shape)))
  const listed = said?.['servers']
  if (uid === undefined || name !== wanted || !spec.success || !Array.isArray(listed)) return undefined
  const servers = listed.map(readServer)
  const whole = servers.filter((server) => server !== undefined)
  return whole.length === servers.length ? { uid, name, spec: spec.data, servers: whole } : undefined
}

function readServer(value: unknown): EdgeServer | undefined {
  const said = objectOf(value)
  const [uid, name] = texts(said, ['uid', 'name'])
  if (uid === undefined || name === undefined || !NAME.test(name)) return undefined
  const spec = said?.['via'] === 'direct' ? Server.spec.safeParse(said['spec']) : undefined
  if (spec?.success === true && needsNothing(spec.data))
    return { uid, name, direct: spec.data, timeouts: spec.data.timeouts }
  return { uid, name, direct: undefined, timeouts: timeoutsOf(said?.['timeouts']) }
}

/** Whatever it says, what needs a process, a Secret or a grant is not for an edge. */
const needsNothing = (spec: ServerSpec): boolean =>
  spec.transport !== 'stdio' &&
  spec.auth === undefined &&
  spec.headers.every(({ valueFrom }) => valueFrom === undefined)

/** The defaults where they are not said, or not understood. */
function timeoutsOf(value: unknown): ServerSpec['timeouts'] {
  const { connectSeconds, callSeconds, answerSeconds } = objectOf(value) ?? {}
  const seconds = (given: unknown, otherwise: number): number =>
    typeof given === 'number' && given > 0 && given <= 86_400 ? given : otherwise
  return {
    connectSeconds: seconds(connectSeconds, 30),
    callSeconds: seconds(callSeconds, 300),
    answerSeconds: seconds(answerSeconds, 600),
  }
}

const knownFields = (value: unknown, names: readonly string[]): unknown =>
  Object.fromEntries(Object.entries(objectOf(value) ?? {}).filter(([name]) => names.includes(name)))

/** Short, and another for every other text. */
export const shortHash = (text: string): string => hash('sha256', text, 'base64url').slice(0, 16)
