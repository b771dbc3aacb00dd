import { z } from 'zod'
import { SIGN_IN_NEEDS } from '../../../kinds/binding.ts'
import { Name } from '../../../kinds/define-kind.ts'
import type { HttpSpec, ServerSpec } from '../../../kinds/server.ts'
import { readGrantId } from '../../../grants/grant-id.ts'
import { namedGrant } from '../../../grants/named-grant.ts'
import { SOURCES, type GrantKey } from '../../../grants/grant.ts'
import { readOrigin } from '../../../grants/origins.ts'
import { defaultOrigins, type Provider } from '../../../grants/providers/define-provider.ts'
import { readQualifier, readValues } from '../../../grants/providers/values.ts'
import { Fault } from '../../../lib/fault.ts'
import { SecretValue } from '../../../lib/secret-value.ts'
import { kindFor, reachStored } from '../find.ts'
import { readJson } from '../read-json.ts'
import { json, type Call, type FixedRoute } from '../route.ts'
import { JSON_ANSWER, refuseUnknown, shownGrant, SIGNED_IN, type GrantRouteDeps } from './grant-routes.ts'
import { connectOnPage } from './own-connection.ts'
import { grantAct, reachAttempt, reachGrant, WHOSE_QUERY } from './whose-grant.ts'

/** How a credential comes in, is looked after, and may go elsewhere. */
export const giveRoutes = (deps: GrantRouteDeps): readonly FixedRoute[] => [
  {
    method: 'PUT',
    path: '/api/v1/grants/{name}',
    summary: 'Keeps a credential that somebody has by them.',
    takesBody: true,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    handle: (call) => give(deps, call),
  },
  {
    method: 'POST',
    path: '/api/v1/grants',
    summary: 'Starts an authorization: answers with the address that the user has to open.',
    takesBody: true,
    permission: SIGNED_IN,
    answer: { status: 202, types: ['application/json'] },
    handle: (call) => startAuthorization(deps, call),
  },
  {
    method: 'POST',
    path: '/api/v1/grants/attempts/{name}/paste',
    summary: 'Takes the address at which the browser of the user ended, where it could not reach the daemon.',
    takesBody: true,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    async handle(call) {
      const attempt = reachAttempt(call)
      const { answer } = await readJson(call.request, z.strictObject({ answer: z.string().max(16_384) }))
      const done = await deps.grants.paste(attempt, answer)
      if (!done.ok) throw new Fault('invalid', { problems: [`answer: ${done.error}`] })
      return json({ state: 'done', name: done.value.name })
    },
  },
  {
    method: 'POST',
    path: '/api/v1/grants/{name}/test',
    summary: 'Asks whoever issued a grant, or the server that it is for, whether it works.',
    query: WHOSE_QUERY,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    handle(call) {
      const key = keyIn(deps, call, 'view')
      return deps.record.act(call, grantAct(deps.snapshot.state(), 'test', key), async () =>
        json((await deps.tester.test(key, (server) => seesServer(call, server))) ?? refuseUnknown()),
      )
    },
  },
  {
    method: 'POST',
    path: '/api/v1/grants/{name}/refresh',
    summary: 'Renews a grant at once.',
    query: WHOSE_QUERY,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    handle(call) {
      const key = keyIn(deps, call, 'create')
      return deps.record.act(call, grantAct(deps.snapshot.state(), 'refresh', key), async () =>
        json(shownGrant(deps, (await deps.grants.refresh(key)) ?? refuseUnknown())),
      )
    },
  },
  {
    method: 'POST',
    path: '/api/v1/grants/{name}/bind',
    summary: 'Says where a grant may be sent, instead of where it might be sent before.',
    query: WHOSE_QUERY,
    takesBody: true,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    async handle(call) {
      const key = keyIn(deps, call, 'create')
      const { origins } = await readJson(call.request, z.strictObject({ origins: Origins }))
      return deps.record.act(call, grantAct(deps.snapshot.state(), 'bind', key), async () =>
        json(shownGrant(deps, (await deps.grants.bind(key, origins)) ?? refuseUnknown())),
      )
    },
  },
]

const keyIn = (deps: GrantRouteDeps, call: Call, verb: 'view' | 'create'): GrantKey =>
  reachGrant(deps.snapshot.state(), call, verb, {
    name: call.params['name'] ?? '',
    for: call.query['for'],
    profile: call.query['profile'],
  })

const Origin = z
  .string()
  .max(2048)
  .transform((text, context) => {
    const origin = readOrigin(text)
    if (origin === undefined)
      context.addIssue({ code: 'custom', message: 'must be https:// and a host, or http: on loopback' })
    return origin ?? ''
  })
const Origins = z.array(Origin).min(1).max(32)

const Whose = { for: z.string().max(300).optional(), profile: z.string().max(100).optional() }
const Give = z.strictObject({
  ...Whose,
  values: z.record(z.string().max(64), z.string().max(16_384)),
  origins: Origins.optional(),
  server: Name.optional(),
  source: z.enum(SOURCES).exclude(['exchange']).default('prompt'),
  expiresAt: z.iso.datetime().optional(),
  force: z.boolean().default(false),
})

async function give(deps: GrantRouteDeps, call: Call): Promise<Response> {
  const given = await readJson(call.request, Give)
  const key = reachGrant(deps.snapshot.state(), call, 'create', { name: call.params['name'] ?? '', ...given })
  const { provider: word, qualifier: after } = readGrantId(key.name)
  const provider = (await deps.providers.current()).need(word)
  if (provider.id === 'oauth')
    throw new Fault('invalid', {
      problems: ['name: an oauth: grant is authorized, not given; castellan grant oauth NAME'],
    })
  // What is checked on the machine of the daemon uses its identity there: no user may take that for their own.
  if (provider.check !== undefined) call.access.demand({ verb: 'create', kind: 'grants', name: key.name })
  const qualifier = readQualifier(provider, after)
  const values = readValues(provider, given.values, { force: given.force })
  if (!qualifier.ok || !values.ok)
    throw new Fault('invalid', {
      problems: [
        ...(qualifier.ok ? [] : [`name: ${qualifier.error}`]),
        ...(values.ok ? [] : values.error.map((problem) => `values.${problem}`)),
      ],
    })
  const origins = originsFor(deps, call, { provider, qualifier: qualifier.value, ...given })
  const name = qualifier.value === '' ? provider.id : `${provider.id}:${qualifier.value}`
  const named = { ...key, name }
  await demandRoom(deps, call, named)
  return deps.record.act(call, grantAct(deps.snapshot.state(), 'create', named), async () => {
    const report = await deps.grants.give({
      key: named,
      server: given.server,
      origins,
      values: values.value.secret,
      settings: values.value.shown,
      expiresAtMs: given.expiresAt === undefined ? undefined : Date.parse(given.expiresAt),
      source: given.source,
    })
    return json({ ...shownGrant(deps, report), usedBy: usersOf(deps, call, report) })
  })
}

/** More than anybody connects; nobody needs a right for their own, so nobody has them without end. */
const MAX_OWN = 200

async function demandRoom(
  { grants }: GrantRouteDeps,
  { principal }: Call,
  { holder, profile, name }: GrantKey,
): Promise<void> {
  if (principal.kind !== 'user' || holder !== principal.key) return
  const own = await grants.list({ holder })
  if (own.length < MAX_OWN || own.some((one) => one.name === name && one.profile === profile)) return
  throw new Fault('too_many', {
    hint: `you have ${MAX_OWN} connections; castellan grant list --mine shows them, castellan revoke GRANT --mine ends one`,
  })
}

interface About {
  readonly provider: Provider
  readonly qualifier: string
  readonly origins?: readonly string[] | undefined
  readonly server?: string | undefined
}

/** Where it may be sent: as the caller says, where its Server is, where its provider is. */
function originsFor(deps: GrantRouteDeps, call: Call, about: About): readonly string[] {
  const { provider, qualifier, origins, server } = about
  const spec = server === undefined ? undefined : remoteSpec(deps, call, server)
  const all = [
    ...(origins ?? (spec === undefined ? defaultOrigins(provider, qualifier) : [])),
    ...(spec === undefined ? [] : [new URL(spec.url).origin]),
  ]
  if (all.length === 0 && !provider.runsOnly)
    throw new Fault('invalid', {
      problems: ['origins: it is not said where this may be sent'],
      hint: 'name the server that it is for (--server), or an address (--url)',
    })
  return [...new Set(all)]
}

function remoteSpec(deps: GrantRouteDeps, call: Call, name: string): HttpSpec {
  const wanted = { definition: kindFor('servers'), name, project: undefined }
  const { resource } = reachStored({ state: deps.snapshot.state(), access: call.access }, 'view', wanted)
  const spec = resource.spec as ServerSpec
  if (spec.transport === 'stdio')
    throw new Fault('invalid', { problems: ['server: a stdio server takes its credentials from spec.env'] })
  return spec
}

const seesServer = ({ access }: Call, name: string): boolean =>
  access.decide({ verb: 'view', kind: 'servers', name }).allowed

/** Servers that name a grant, as far as the caller may see them. */
function usersOf(
  { snapshot }: GrantRouteDeps,
  call: Call,
  { name, profile }: Pick<GrantKey, 'name' | 'profile'>,
): readonly string[] {
  return [...snapshot.state().servers.values()].flatMap((server) => {
    const named = namedGrant(server.spec)
    return named?.name === name && named.profile === profile && seesServer(call, server.name)
      ? [server.name]
      : []
  })
}

const Address = z.string().min(1).max(2048)
const Flags = {
  issuer: Address.optional(),
  authUrl: Address.optional(),
  tokenUrl: Address.optional(),
  revocationUrl: Address.optional(),
  deviceUrl: Address.optional(),
  clientId: z.string().min(1).max(2048).optional(),
  clientSecret: z.string().min(1).max(4096).optional(),
  tokenAuthMethod: z.enum(['client_secret_basic', 'client_secret_post']).optional(),
  clientMetadataUrl: z
    .url({ protocol: /^https$/ })
    .max(2048)
    .optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be a scope'))
    .max(256)
    .optional(),
  device: z.boolean().optional(),
  allowWithoutPkceAdvertised: z.boolean().optional(),
}

/** For servers with `whose: caller`: nobody authorizes it, and sign-ins of callers are exchanged as this client. */
const Exchange = z.strictObject({
  subject: z.enum(['id_token', 'access_token']).default('id_token'),
  audience: z.string().min(1).max(2048).optional(),
})

const Start = z
  .strictObject({
    ...Whose,
    ...Flags,
    exchange: Exchange.optional(),
    name: Name,
    server: Name.optional(),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .optional(),
  })
  .refine(({ exchange, for: whose }) => exchange === undefined || whose === undefined, {
    path: ['exchange'],
    message: 'is of the grant that all share, and of nobody else',
  })
  .refine(({ server, url }) => (server === undefined) !== (url === undefined), {
    path: ['server'],
    message: 'give one of server and url',
  })

async function startAuthorization(deps: GrantRouteDeps, call: Call): Promise<Response> {
  const given = await readJson(call.request, Start)
  const { for: whose, profile, name, server, url: address, exchange, ...rest } = given
  const key = reachGrant(deps.snapshot.state(), call, 'create', {
    name: `oauth:${name}`,
    for: whose,
    profile,
  })
  const spec = server === undefined ? undefined : remoteSpec(deps, call, server)
  const url = spec?.url ?? address ?? ''
  if (readOrigin(url) === undefined)
    throw new Fault('invalid', { problems: ['url: must be https, or http on loopback'] })
  // Hosts that are named here may be private ones: whoever names them must be trusted with more than their own.
  const namesHosts = address !== undefined || NAMES_HOSTS.some((field) => rest[field] !== undefined)
  if (whose === 'me' && namesHosts) call.access.demand({ verb: 'create', kind: 'grants', name: key.name })
  if (exchange !== undefined) demandEverything(call)
  const onPage = rest.device === true ? undefined : await connectOnPage(deps, call, { key, server, spec })
  if (onPage !== undefined) return json(onPage, 202)
  await demandRoom(deps, call, key)
  return deps.record.act(call, grantAct(deps.snapshot.state(), 'create', key), async () => {
    const { clientSecret, ...others } = rest
    const secret = clientSecret === undefined ? {} : { clientSecret: new SecretValue(clientSecret) }
    const request = { key, server, url, flags: { ...others, ...secret } }
    const isUsed = spec?.auth?.grant === key.name && (exchange === undefined || spec.auth.whose === 'caller')
    const about = { name: key.name, usedByServer: isUsed }
    if (exchange !== undefined) {
      const { subject, audience } = exchange
      return json({ ...(await deps.grants.prepareExchange({ ...request, subject, audience })), ...about })
    }
    const started = await deps.grants.start({ ...request, startedBy: call.principal.key })
    return json({ ...started, ...about }, 202)
  })
}

/** Where everybody's sign-in is shown is for those who may do everything, as how people sign in is. */
function demandEverything({ access }: Call): void {
  if (!SIGN_IN_NEEDS.every((binding) => access.covers(binding)))
    throw new Fault('forbidden', {
      hint: 'the sign-ins of all callers would be shown there: ask somebody who may do everything',
    })
}

const NAMES_HOSTS = ['issuer', 'authUrl', 'tokenUrl', 'revocationUrl', 'deviceUrl'] as const
