import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { KINDS } from '../../src/kinds/registry.ts'
import { ATTACHED, ROBOT, SERVERS, TOKENS, USERS, type Rule, type Subject } from './access-world.ts'
import {
  createToken,
  httpServer,
  openLegacy,
  project,
  startGate,
  stdioServer,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/** The world of the access matrix on a real daemon with real servers. */
export interface Stand {
  readonly gate: Gate
  /** Everybody with a credential of their own: users who have signed in, and tokens. */
  readonly callers: readonly Caller[]
  /** All that is stored, by plural, as the administrator of the host sees it. */
  readonly objects: ReadonlyMap<string, readonly Stored[]>
  readonly upstreams: ReadonlyMap<string, Upstream>
  end(): Promise<void>
}

export interface Caller {
  readonly subject: Subject
  readonly credential: string
  readonly ask: Ask
}

export type Ask = (method: string, path: string, given?: Given) => Promise<Answered>

interface Given {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answered {
  readonly status: number
  readonly text: string
  readonly json: Json
}

export interface Stored {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly project?: string; readonly uid: string }
}

/** Kinds of which the world has objects of its own. */
const MADE_BY_HAND: ReadonlySet<string> = new Set(['Server', 'Project', 'Token'])

/** Two of each kind, from the example that the kind has: a kind that is added is in the matrix with that. */
const examples = (): readonly Json[] =>
  KINDS.filter(({ kind, systemMade }) => systemMade !== true && !MADE_BY_HAND.has(kind)).flatMap(
    ({ kind, scope, example }) =>
      ['alpha', 'beta'].map((name) => ({
        kind,
        metadata: { name, ...(scope === 'project' ? { project: 'demo' } : {}) },
        spec: example,
      })),
  )

const binding = (name: string, subject: Json, bindings: readonly Rule[]): Json => ({
  kind: 'RoleBinding',
  metadata: { name },
  spec: { subjects: [subject], bindings },
})

const group = (name: string, members: readonly Json[]): Json => ({
  kind: 'Group',
  metadata: { name },
  spec: { members },
})

/** `admin` through a group, `nested` through a group in a group, the rest by themselves. */
function people(): readonly Json[] {
  const through: Readonly<Record<string, Json>> = {
    admin: { kind: 'Group', name: 'admins' },
    nested: { kind: 'Group', name: 'outer' },
  }
  return [
    ...USERS.map(({ label }) => ({ kind: 'User', metadata: { name: label }, spec: {} })),
    group('admins', [{ kind: 'User', name: 'admin' }]),
    group('inner', [{ kind: 'User', name: 'nested' }]),
    group('outer', [{ kind: 'Group', name: 'inner' }]),
    ...USERS.filter(({ rules }) => rules.length > 0).map(({ label, rules }) =>
      binding(`of.${label}`, through[label] ?? { kind: 'User', name: label }, rules),
    ),
    binding('of.robot', { kind: 'ServiceAccount', name: 'alpha' }, ROBOT),
    ...TOKENS.flatMap(({ label, token, made: { given } }) =>
      given === undefined
        ? []
        : [
            binding(
              `of.token-${label}`,
              { kind: 'Token', name: label, project: token?.project ?? '' },
              given,
            ),
          ],
    ),
  ]
}

const PASSWORD = 'correct horse battery staple'

export async function startStand(): Promise<Stand> {
  const upstreams = new Map<string, Upstream>()
  for (const name of SERVERS) upstreams.set(name, await startUpstream({ name }))
  const gate = await startGate([
    ...[...upstreams].map(([name, { url }]) => httpServer(name, url)),
    stdioServer('running'),
    ...Object.entries(ATTACHED).map(([name, servers]) => project(name, servers)),
    project('aside', ['running']),
    ...people(),
    ...examples(),
  ])
  const callers = [...(await signIn(gate)), ...(await makeTokens(gate))]
  // A copy of a server runs only once somebody has used it.
  await (await openLegacy(await gate.access('aside'))).ask('tools/list')
  const objects = new Map<string, readonly Stored[]>()
  for (const { plural } of KINDS) {
    const { items } = (await gate.daemon.call('GET', `/api/v1/${plural}`)) as { items: Stored[] }
    objects.set(plural, items)
  }
  return {
    gate,
    callers,
    objects,
    upstreams,
    async end() {
      await gate.end()
      for (const upstream of upstreams.values()) await upstream.close()
    },
  }
}

async function signIn({ daemon }: Gate): Promise<readonly Caller[]> {
  return Promise.all(
    USERS.map(async (subject) => {
      const { label: user } = subject
      await daemon.call('POST', `/api/v1/users/${user}/password`, { password: PASSWORD })
      const { credential } = (await daemon.call('POST', '/api/v1/auth/login', {
        user,
        password: PASSWORD,
      })) as { credential: string }
      return { subject, credential, ask: asker(daemon.origin, credential) }
    }),
  )
}

async function makeTokens({ daemon }: Gate): Promise<readonly Caller[]> {
  for (const [name, of] of [
    ['alpha', 'demo'],
    ['beta', 'demo'],
    ['alpha', 'other'],
  ] as const)
    await createToken(daemon, of, name)
  return Promise.all(
    TOKENS.map(async (subject) => {
      const { owner, bindings } = subject.made
      const spec = Object.assign({}, owner && { owner }, bindings && { bindings })
      const credential = await createToken(daemon, subject.token?.project ?? '', subject.label, spec)
      return { subject, credential, ask: asker(daemon.origin, credential) }
    }),
  )
}

export function asker(origin: string, credential: string): Ask {
  return async (method, path, { body, headers = {} } = {}) => {
    const response = await fetch(new URL(path, origin), {
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        'content-type': 'application/json',
        connection: 'keep-alive',
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, text, json: (isJson && text !== '' ? JSON.parse(text) : {}) as Json }
  }
}
