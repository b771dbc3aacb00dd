import { EVENT_KINDS } from '../../audit/event-kind.ts'
import type { JsonSchema } from '../kind-schema.ts'

/** What a route that is on no kind takes and answers as JSON. */
export interface FixedSchemas {
  readonly body?: JsonSchema
  readonly answer?: JsonSchema
}

const text: JsonSchema = { type: 'string' }
const whole: JsonSchema = { type: 'integer' }
const yes: JsonSchema = { type: 'boolean' }
const anything: JsonSchema = {}
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const one = (...choices: readonly string[]): JsonSchema => ({ type: 'string', enum: choices })

/** Fields that are there, then those that may be. */
const object = (
  fields: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema => ({
  type: 'object',
  properties: { ...fields, ...optional },
  required: Object.keys(fields),
  additionalProperties: false,
})

const map = (values: JsonSchema): JsonSchema => ({ type: 'object', additionalProperties: values })

const rule = object({ binding: text, rule: map(anything), from: text, via: text })
const signedIn = object({ credential: text, expiresAt: text, user: text })
const attached = object({ kind: one('Project'), name: text, server: text, action: text })

const auditRow = object(
  {
    id: text,
    atMs: whole,
    event: text,
    kind: { type: 'string', enum: EVENT_KINDS },
    principal: text,
    principalName: text,
    decision: one('allow', 'deny'),
  },
  {
    user: text,
    token: text,
    tokenSha: text,
    actor: text,
    project: text,
    server: text,
    target: text,
    grant: text,
    injected: text,
    session: text,
    reason: text,
    status: text,
    durationMs: { type: 'number' },
    code: text,
    count: whole,
  },
)

const auditSession = object(
  {
    project: text,
    principal: text,
    principalName: text,
    firstAtMs: whole,
    lastAtMs: whole,
    calls: whole,
    requests: whole,
    denied: whole,
  },
  { session: text, user: text, token: text, tokenSha: text, actor: text },
)

const GRANT = {
  name: text,
  profile: text,
  holder: text,
  origins: list(text),
  state: one('ready', 'waiting', 'expired', 'needs-login', 'needs-scope', 'refused'),
  scopes: list(text),
  source: text,
  givenAtMs: whole,
  renewable: yes,
}
const SOMETIMES = {
  server: text,
  issuer: text,
  expiresAtMs: whole,
  obtainedAtMs: whole,
  refreshedAtMs: whole,
  refreshProblem: text,
  usedAtMs: whole,
  problem: text,
}
const grant = object(GRANT, SOMETIMES)
const grantUsed = object({ ...GRANT, usedBy: list(text) }, SOMETIMES)

const key = object(
  { id: text, state: one('in-use', 'next', 'replaced', 'retired'), values: map(whole) },
  { sinceMs: whole, untilMs: whole },
)

const shown = (kind: string): JsonSchema => ({ $ref: `#/components/schemas/${kind}Object` })

/** By method and path. A route that answers JSON and has none here does not pass the tests. */
export const FIXED_SCHEMAS: Readonly<Record<string, FixedSchemas>> = {
  'GET /api/v1/kinds': {
    answer: list(
      object({ kind: text, plural: text, short: list(text), scope: one('global', 'project'), summary: text }),
    ),
  },
  'GET /api/v1/schema/{word}': { answer: map(anything) },
  'GET /api/v1/openapi.json': { answer: map(anything) },
  'GET /api/v1/status': {
    answer: object(
      {
        url: text,
        version: text,
        uptimeSeconds: whole,
        servers: list(shown('Server')),
        projects: list(shown('Project')),
        grants: list(grant),
      },
      {
        pid: whole,
        startedAtMs: whole,
        home: text,
        database: text,
        audit: text,
        sandbox: text,
        peers: list(object({ host: text, url: text, state: one('alive', 'unreachable', 'gone') })),
      },
    ),
  },
  'GET /api/v1/version': { answer: object({ version: text, commit: text, buildDate: text, node: text }) },
  'POST /api/v1/shutdown': { answer: object({ action: one('stopping') }) },
  'GET /api/v1/audit': { answer: object({ items: list(auditRow) }) },
  'GET /api/v1/audit/sessions': { answer: object({ items: list(auditSession), complete: yes }) },
  'GET /api/v1/grants': { answer: object({ items: list(grant) }) },
  'POST /api/v1/grants': {
    body: object(
      { name: text },
      {
        server: text,
        url: text,
        for: text,
        profile: text,
        issuer: text,
        authUrl: text,
        tokenUrl: text,
        revocationUrl: text,
        deviceUrl: text,
        clientId: text,
        clientSecret: text,
        tokenAuthMethod: one('client_secret_basic', 'client_secret_post'),
        clientMetadataUrl: text,
        scopes: list(text),
        device: yes,
        allowWithoutPkceAdvertised: yes,
        exchange: object({}, { subject: one('id_token', 'access_token'), audience: text }),
      },
    ),
    answer: object(
      {
        issuer: text,
        scopes: list(text),
        from: map(one('flag', 'file', 'discovery')),
        name: text,
        usedByServer: yes,
      },
      {
        attempt: text,
        redirectUri: text,
        authorizeUrl: text,
        device: object(
          { userCode: text, verificationUrl: text, expiresInSeconds: whole },
          { verificationUrlComplete: text },
        ),
      },
    ),
  },
  'POST /api/v1/grants/attempts/{name}/paste': {
    body: object({ answer: text }),
    answer: object({ state: one('done'), name: text }),
  },
  'PUT /api/v1/grants/{name}': {
    body: object(
      { values: map(text) },
      {
        for: text,
        profile: text,
        origins: list(text),
        server: text,
        source: text,
        expiresAt: text,
        force: yes,
      },
    ),
    answer: grantUsed,
  },
  'GET /api/v1/grants/{name}': { answer: grant },
  'GET /api/v1/grants/providers': {
    answer: object({ items: list(map(anything)), problems: list(text) }),
  },
  'GET /api/v1/grants/{name}/values': { answer: object({ name: text, values: map(text) }) },
  'POST /api/v1/grants/{name}/test': {
    answer: object({ state: one('valid', 'invalid', 'unknown'), message: text }),
  },
  'POST /api/v1/grants/{name}/refresh': { answer: grant },
  'POST /api/v1/grants/{name}/bind': { body: object({ origins: list(text) }), answer: grant },
  'GET /api/v1/keys': {
    answer: object(
      { keys: list(key), daemons: list(object({ host: text, source: text, startsWith: text })) },
      {
        rotation: object(
          {
            oldKey: text,
            newKey: text,
            phase: one('announced', 'sealing'),
            begunAtMs: whole,
            left: whole,
          },
          { shut: whole },
        ),
      },
    ),
  },
  'POST /api/v1/keys/rotate': {
    body: object({}, { key: text, keepOld: yes }),
    answer: object({ newKey: text }),
  },
  'GET /api/v1/grants/attempts/{name}': { answer: object({ state: text }, { problem: text }) },
  'DELETE /api/v1/grants/{name}': { answer: object({ name: text, revoked: yes }) },
  'GET /api/v1/auth/me': {
    answer: object(
      {
        kind: one('local-admin', 'user', 'token', 'subject'),
        name: text,
        administrator: yes,
        groups: list(text),
      },
      {
        subject: text,
        project: text,
        owner: text,
        actor: text,
        signIn: text,
        method: text,
        expiresAt: text,
      },
    ),
  },
  'GET /api/v1/auth/can-i': { answer: object({ allowed: yes }, { by: rule, reason: text }) },
  'GET /api/v1/auth/who-can': {
    answer: object({ items: list(object({ subject: text, binding: text, from: text, via: text })) }),
  },
  'GET /api/v1/auth/rights': { answer: object({ items: list(rule) }, { project: text }) },
  'GET /api/v1/auth/providers': {
    answer: object({ passwords: yes, providers: list(object({ name: text })) }),
  },
  'POST /api/v1/auth/login': { body: object({ user: text, password: text }), answer: signedIn },
  'POST /api/v1/auth/oidc/start': {
    body: object({ provider: text, challenge: text }, { loopbackPort: whole }),
    answer: object({ attempt: text, url: text }),
  },
  'POST /api/v1/auth/oidc/finish': {
    body: object({ attempt: text, code: text, verifier: text }),
    answer: signedIn,
  },
  'POST /api/v1/auth/logout': { answer: object({ action: one('signed-out'), user: text }) },
  'POST /api/v1/users/{name}/password': {
    body: object({ password: text }, { current: text }),
    answer: object({ kind: one('User'), name: text, action: one('configured') }),
  },
  'GET /api/v1/tokens/introspect': {
    answer: object(
      { active: yes },
      {
        revoked: yes,
        kind: one('local-admin', 'token', 'sign-in'),
        token: object({ uid: text, name: text, project: text }),
        owner: object({ kind: text, name: text }),
        user: object({ uid: text, name: text }),
        signIn: text,
        expiresAt: text,
        expiresInMs: { type: 'number' },
        access: object({ project: text, scopes: list(anything) }),
        revision: text,
      },
    ),
  },
  'GET /api/v1/projects/{name}/edge': {
    answer: object({
      uid: text,
      name: text,
      spec: map(anything),
      servers: list(
        object(
          { uid: text, name: text, via: one('direct', 'control') },
          { spec: map(anything), timeouts: map(anything) },
        ),
      ),
    }),
  },
  'POST /api/v1/projects/{name}/servers/{server}': { answer: attached },
  'DELETE /api/v1/projects/{name}/servers/{server}': { answer: attached },
  'GET /api/v1/secrets/{name}/values': {
    answer: object({ kind: one('Secret'), name: text, values: map(text) }, { unread: map(text) }),
  },
  'POST /api/v1/apply': {
    body: {
      description: 'A manifest, or a List of them; as YAML also several documents.',
      type: 'object',
    },
    answer: object({
      results: list(
        object(
          { kind: text, name: text, action: one('created', 'configured', 'unchanged') },
          { project: text, secret: { type: 'string', description: 'Of a new Token, this once.' } },
        ),
      ),
    }),
  },
}
