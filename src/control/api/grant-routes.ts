import { z } from 'zod'
import { Name } from '../../kinds/define-kind.ts'
import type { ServerSpec } from '../../kinds/server.ts'
import { Fault } from '../../lib/fault.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { OAuthGrants } from '../../grants/oauth-flow.ts'
import { renderGrants } from '../render/grants.ts'
import { readBody } from './body.ts'
import { kindFor, reachStored } from './find.ts'
import type { ReadDeps } from './read-routes.ts'
import type { ApiRecord } from './record.ts'
import { json, oneOf, text, wholeNumber, type Call, type FixedRoute } from './route.ts'

export interface GrantRouteDeps extends Pick<ReadDeps, 'snapshot' | 'clock'> {
  readonly grants: Pick<OAuthGrants, 'list' | 'start' | 'attempt' | 'revoke'>
  readonly record: ApiRecord
}

const JSON_ANSWER = { status: 200, types: ['application/json'] } as const

/** Credentials that others issued to us: no route shows one. */
export const grantRoutes = (deps: GrantRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/grants',
    summary: 'Grants: for which server, in which state, until when.',
    query: { output: 'table or json; default json.' },
    permission: { verb: 'view', kind: 'grants' },
    answer: { status: 200, types: ['application/json', 'text/plain'] },
    handle({ query }) {
      const output = oneOf('output', query['output'] ?? 'json', ['table', 'json'])
      const items = deps.grants.list()
      return output === 'json' ? json({ items }) : text(renderGrants(items, deps.clock.nowMs()))
    },
  },
  {
    method: 'POST',
    path: '/api/v1/grants',
    summary: 'Starts an authorization: answers with the address that the user has to open.',
    takesBody: true,
    permission: { verb: 'create', kind: 'grants' },
    answer: { status: 202, types: ['application/json'] },
    handle: (call) => startAuthorization(deps, call),
  },
  {
    method: 'GET',
    path: '/api/v1/grants/attempts/{name}',
    summary: 'How an authorization that was started stands.',
    query: { waitSeconds: 'Wait for its end, but no longer; at most 25, default 0.' },
    permission: { verb: 'view', kind: 'grants' },
    answer: JSON_ANSWER,
    async handle({ params, query }) {
      const waitMs = 1000 * wholeNumber('waitSeconds', query['waitSeconds'], { max: 25, fallback: 0 })
      const attempt = await deps.grants.attempt(params['name'] ?? '', waitMs)
      if (attempt === undefined)
        throw new Fault('not_found', { hint: 'an attempt is forgotten after ten minutes; start another' })
      return json(attempt)
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/grants/{name}',
    summary: 'Forgets a grant, and tells its authorization server where that can be told.',
    permission: { verb: 'delete', kind: 'grants' },
    answer: JSON_ANSWER,
    handle(call) {
      const { params } = call
      const name = params['name'] ?? ''
      return deps.record.act(call, { verb: 'delete', kind: 'grants', name: safeName(name) }, async () => {
        const gone = await deps.grants.revoke(name)
        if (gone === undefined) throw new Fault('not_found', { hint: 'castellan grant list shows the names' })
        return json({ name, ...gone })
      })
    },
  },
]

/** For the record: what somebody typed may be anything. */
const safeName = (name: string): string => (/^[a-z]+:[a-z0-9-]{1,40}$/.test(name) ? name : 'unknown')

const Start = z.strictObject({
  name: Name,
  server: Name,
  clientId: z.string().min(1).max(2048).optional(),
  clientSecret: z.string().min(1).max(4096).optional(),
  clientMetadataUrl: z
    .url({ protocol: /^https$/ })
    .max(2048)
    .optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be a scope'))
    .max(256)
    .optional(),
})

async function startAuthorization(deps: GrantRouteDeps, call: Call): Promise<Response> {
  const given = await readStart(call.request)
  const { resource } = reachStored({ state: deps.snapshot.state(), access: call.access }, 'view', {
    definition: kindFor('servers'),
    name: given.server,
    project: undefined,
  })
  const spec = resource.spec as ServerSpec
  if (spec.transport === 'stdio')
    throw new Fault('invalid', { problems: ['server: a stdio server takes its credentials from spec.env'] })
  const name = `oauth:${given.name}`
  return deps.record.act(call, { verb: 'create', kind: 'grants', name }, async () => {
    const started = await deps.grants.start({
      name,
      server: { name: given.server, url: spec.url },
      client:
        given.clientId === undefined
          ? undefined
          : {
              clientId: given.clientId,
              secret: given.clientSecret === undefined ? undefined : new SecretValue(given.clientSecret),
            },
      document: given.clientMetadataUrl,
      scopes: given.scopes,
    })
    return json({ ...started, name, usedByServer: spec.auth?.grant === name }, 202)
  })
}

async function readStart(request: Request): Promise<z.output<typeof Start>> {
  const { text: body, format } = await readBody(request)
  if (format !== 'json') throw new Fault('unsupported_media', { hint: 'send JSON' })
  const parsed = Start.safeParse(parseJson(body))
  if (!parsed.success)
    throw new Fault('invalid', {
      problems: parsed.error.issues.map(({ path, code, message }) =>
        code === 'unrecognized_keys'
          ? 'the body has a field that is not known'
          : `${path.join('.')}: ${message}`,
      ),
    })
  if (parsed.data.clientSecret !== undefined && parsed.data.clientId === undefined)
    throw new Fault('invalid', { problems: ['clientSecret: is worth nothing without clientId'] })
  return parsed.data
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Fault('not_json')
  }
}
