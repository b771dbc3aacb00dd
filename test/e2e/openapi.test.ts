import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'

interface Parameter {
  readonly $ref?: string
  readonly name: string
  readonly in: string
  readonly schema: { readonly type: string; readonly enum?: readonly string[] }
}
interface Response {
  readonly $ref?: string
  readonly content?: Readonly<Record<string, unknown>>
}
interface Operation {
  readonly operationId: string
  readonly tags?: readonly string[]
  readonly security?: readonly unknown[]
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> }
  readonly responses: Readonly<Record<string, Response>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly examples?: readonly Manifest[] }>>
  }
}
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly project?: string }
  readonly spec: unknown
}

/** What an operation is sent, and which answer it has then. */
interface Sending {
  readonly path?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly status?: number
  readonly credential?: string
}

let daemon: Daemon
let document: Document
let admin = ''
const ajv = new Ajv2020({ strict: false })

beforeAll(async () => {
  daemon = await startDaemon(await makeHome())
  admin = (await readFile(join(daemon.home, 'admin-credential'), 'utf8')).trim()
  document = (await daemon.call('GET', '/api/v1/openapi.json')) as Document
  ajv.addSchema(document, 'openapi')
})

afterAll(async () => {
  await daemon.stop()
  await removeHome(daemon.home)
})

const pointer = (...parts: readonly string[]): string =>
  `openapi#/${parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`

function validatorAt(...parts: readonly string[]): ValidateFunction {
  const found = ajv.getSchema(pointer(...parts))
  if (found === undefined) throw new Error(`there is no schema at ${parts.join(' ')}`)
  return found
}

test('the document is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone<object>(document) as Record<string, unknown>)
  expect(result.valid, JSON.stringify(result.errors)).toBe(true)
})

test('every JSON answer that is good is described', () => {
  const bare = operations().flatMap(({ operation }) =>
    Object.values(operation.responses).some(
      ({ content }) => JSON.stringify(content?.['application/json']) === '{"schema":{}}',
    )
      ? [operation.operationId]
      : [],
  )
  expect(bare).toEqual([])
})

interface Found {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

const operations = (): readonly Found[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )

/** Asks as the document says, and holds the answer against it. */
async function drive({ method, path, operation }: Found, sending: Sending = {}): Promise<unknown> {
  const { operationId, responses } = operation
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(sending.path?.[name] ?? 'missing'),
  )
  const credential = sending.credential ?? (operation.security?.length === 0 ? undefined : admin)
  const [type] = Object.keys(operation.requestBody?.content ?? {})
  const response = await fetch(
    `${daemon.origin}${address}?${new URLSearchParams(sending.query).toString()}`,
    {
      method: method.toUpperCase(),
      headers: {
        ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
        ...(type === undefined ? {} : { 'content-type': type }),
      },
      ...(type === undefined ? {} : { body: JSON.stringify(sending.body) }),
    },
  )
  const good = Number(Object.keys(responses).find((status) => Number(status) < 300))
  const text = await response.text()
  expect(response.status, `${operationId}: ${text}`).toBe(sending.status ?? good)
  const said = response.headers.get('content-type')?.split(';', 1)[0] ?? ''
  const isGood = response.status < 300
  const where = isGood
    ? ['paths', path, method, 'responses', String(response.status)]
    : ['components', 'responses', 'Refused']
  if (isGood)
    expect(Object.keys(responses[String(response.status)]?.content ?? {}), operationId).toContain(said)
  else expect(said, operationId).toBe('application/problem+json')
  if (!said.endsWith('json')) return text
  const value: unknown = JSON.parse(text)
  const valid = validatorAt(...where, 'content', said, 'schema')
  expect(valid(value), `${operationId}: ${JSON.stringify(valid.errors)} in ${text.slice(0, 500)}`).toBe(true)
  return value
}

/** What examples of kinds refer to. */
const SEEDS = [
  { kind: 'Secret', metadata: { name: 'example' }, spec: { data: { token: 'value' } } },
  { kind: 'Server', metadata: { name: 'everything' }, spec: { transport: 'stdio', command: 'true' } },
  { kind: 'Server', metadata: { name: 'memory' }, spec: { transport: 'stdio', command: 'true' } },
  { kind: 'Project', metadata: { name: 'demo' }, spec: { servers: ['memory'] } },
  { kind: 'User', metadata: { name: 'ada' }, spec: {} },
  { kind: 'Group', metadata: { name: 'platform' }, spec: {} },
]

const PASSWORD = 'a-long-pass-phrase-of-a-test'
const RANDOM = 'A'.repeat(43)
const shared = { login: '', token: '' }

/** What operations need that are on no kind, or on more than one. */
const FIXED: Readonly<Record<string, () => Sending>> = {
  'get-kinds': () => ({}),
  'get-explain-one': () => ({ path: { word: 'server' }, query: { path: 'spec.env' } }),
  'get-schema-one': () => ({ path: { word: 'servers' } }),
  'get-openapi.json': () => ({}),
  'get-faults-one': () => ({ path: { code: 'not_found' } }),
  'get-status': () => ({}),
  'get-version': () => ({}),
  'get-logs': () => ({ query: { tail: '5' } }),
  'get-servers-logs-one': () => ({ path: { name: 'memory' } }),
  'get-instances-logs-one': () => ({ path: { name: 'nope' }, status: 404 }),
  'get-audit': () => ({ query: { limit: '5' } }),
  'get-audit-sessions': () => ({}),
  'get-keys': () => ({}),
  'post-keys-rotate': () => ({ body: { key: 'none' }, status: 400 }),
  'get-grants': () => ({}),
  'post-grants': () => ({ body: { name: 'x', server: 'memory' }, status: 400 }),
  'get-grants-attempts-one': () => ({ path: { name: 'nope' }, status: 404 }),
  'post-grants-attempts-paste-one': () => ({ path: { name: 'x' }, body: { answer: 'x' }, status: 400 }),
  'put-grants-one': () => ({ path: { name: 'mcp:notes' }, body: { values: { token: 'abc' } }, status: 400 }),
  'get-grants-providers': () => ({}),
  'get-grants-one': () => ({ path: { name: 'oauth:nope' }, status: 404 }),
  'get-grants-values-one': () => ({ path: { name: 'oauth:nope' }, status: 404 }),
  'post-grants-test-one': () => ({ path: { name: 'oauth:nope' }, status: 404 }),
  'post-grants-refresh-one': () => ({ path: { name: 'oauth:nope' }, status: 404 }),
  'post-grants-bind-one': () => ({
    path: { name: 'oauth:nope' },
    body: { origins: ['https://a.example'] },
    status: 404,
  }),
  'delete-grants-one': () => ({ path: { name: 'oauth:nope' }, status: 404 }),
  'get-auth-me': () => ({}),
  'get-auth-can-i': () => ({ query: { verb: 'view', kind: 'servers' } }),
  'get-auth-who-can': () => ({ query: { verb: 'view', kind: 'servers' } }),
  'get-auth-rights': () => ({}),
  'get-auth-providers': () => ({}),
  'post-users-password-one': () => ({ path: { name: 'ada' }, body: { password: PASSWORD } }),
  'post-auth-login': () => ({ body: { user: 'ada', password: PASSWORD } }),
  'post-auth-logout': () => ({ credential: shared.login }),
  'post-auth-oidc-start': () => ({ body: { provider: 'nope', challenge: RANDOM }, status: 404 }),
  'post-auth-oidc-finish': () => ({ body: { attempt: RANDOM, code: RANDOM, verifier: RANDOM }, status: 401 }),
  'get-tokens-introspect': () => ({ credential: shared.token }),
  'get-projects-edge-one': () => ({ path: { name: 'demo' }, credential: shared.token }),
  'post-projects-servers-one': () => ({ path: { name: 'demo', server: 'everything' } }),
  'delete-projects-servers-one': () => ({ path: { name: 'demo', server: 'everything' } }),
  'get-secrets-values-one': () => ({ path: { name: 'example' } }),
  'post-apply': () => ({
    body: { kind: 'List', items: [{ ...example('User'), metadata: { name: 'applied' } }] },
  }),
  'post-shutdown': () => ({}),
}

function example(kind: string): Manifest {
  const [manifest] = document.components.schemas[kind]?.examples ?? []
  if (manifest === undefined) throw new Error(`${kind} has no example`)
  return { ...manifest, metadata: { ...manifest.metadata, name: `driven-${kind.toLowerCase()}` } }
}

/** Operations on kinds: on an object made from the document's own example. */
function ofKind(kind: string, { method, path, operation }: Found): Sending {
  const manifest = example(kind)
  const { name, project } = manifest.metadata
  const refused = operation.responses['200'] === undefined && operation.responses['201'] === undefined
  const made = operation.responses['201'] !== undefined || method !== 'post'
  const body = method === 'patch' ? { metadata: { labels: { driven: 'yes' } } } : manifest
  const isOne = path.endsWith('/{name}')
  const missing = SYSTEM_MADE.has(kind) && isOne && !refused
  return {
    path: { name },
    query: project === undefined || !isOne || !made ? {} : { project },
    body,
    ...(refused ? { status: isOne ? 404 : 400 } : missing ? { status: 404 } : {}),
  }
}

/** Nobody can make one for the test. */
const SYSTEM_MADE = new Set(['SignIn', 'Instance'])

/** Makes before it reads, deletes what others refer to last, and ends the daemon at the very end. */
const RANKS = ['post', 'get', 'put', 'patch', 'delete']
const LAST = ['post-auth-logout', 'post-shutdown']

test('every operation does what the document says', async () => {
  await daemon.apply(SEEDS)
  const all = operations().toSorted(
    (a, b) =>
      LAST.indexOf(a.operation.operationId) - LAST.indexOf(b.operation.operationId) ||
      RANKS.indexOf(a.method) - RANKS.indexOf(b.method),
  )
  const unknown = all.filter(
    ({ operation }) => operation.tags === undefined && FIXED[operation.operationId] === undefined,
  )
  expect(unknown.map(({ operation }) => operation.operationId)).toEqual([])
  let driven = 0
  const first = all.filter(({ operation }) => operation.operationId === 'post-users-password-one')
  for (const found of new Set([...first, ...all])) {
    const { operationId, tags } = found.operation
    const [kind] = tags ?? []
    const sending = kind === undefined ? FIXED[operationId]?.() : ofKind(kind, found)
    const answer = await drive(found, sending)
    driven += 1
    if (operationId === 'post-auth-login') shared.login = (answer as { credential: string }).credential
    if (operationId === 'post-tokens') shared.token = (answer as { secret: string }).secret
  }
  expect(driven).toBe(Object.values(document.paths).flatMap((path) => Object.keys(path)).length)
})
