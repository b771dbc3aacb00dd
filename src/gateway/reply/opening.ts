import type { Implementation } from '../../protocol/envelope.ts'
import { MODERN_REVISIONS, negotiateLegacy } from '../../protocol/revisions.ts'
import { hasPath, rawAt, stringAt } from '../../protocol/message.ts'
import { SERVER_INFO_KEY, SKILLS_KEY, TASKS_KEY } from '../../protocol/envelope.ts'
import type { Session } from '../classify/session.ts'
import type { Sessions } from '../classify/sessions.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import type { Pool, Scope } from '../forward/pool.ts'
import { reportsNow } from '../forward/reports-of.ts'
import type { Capabilities, Reports, UpstreamFailure, UpstreamInfo } from '../forward/upstream.ts'
import { resultMessage } from '../../protocol/json-rpc.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { ListName } from './listen/change.ts'
import { endpointServers, givesTasks, scopeOf } from '../route/route.ts'
import type { ServerView } from '../snapshot.ts'

export interface OpeningDeps {
  readonly pool: Pool
  readonly sessions: Sessions
  readonly us: Implementation
}

/** How long a client that connects waits for servers that have not been connected yet. */
const OPENING_WAIT_MS = 5000

/** What one server contributes to the opening answer. */
interface Found {
  readonly server: ServerView
  readonly info: UpstreamInfo | undefined
  /** What changes of it reach us; undefined: that is not known yet. */
  readonly reports: Reports | undefined
  readonly failure: UpstreamFailure | undefined
}

function findAll(pool: Pool, x: Exchange): Promise<Found[]> {
  // One connection of ours tells what a server can do; the client's own is made with its first call.
  const scope = { principal: scopeOf(x).principal, session: undefined }
  return Promise.all(endpointServers(x).map((server) => find(pool, server, scope)))
}

async function find(pool: Pool, server: ServerView, scope: Scope): Promise<Found> {
  const known = pool.health(server)
  if (known.info !== undefined) {
    const reports = await reportsNow(pool, server, scope)
    return { server, info: known.info, reports, failure: known.failure }
  }
  const leased = await Promise.race([pool.lease(server, scope), waited()])
  if (leased?.ok === true) {
    const reports = await reportsNow(pool, server, scope)
    return { server, info: leased.value.info, reports, failure: undefined }
  }
  return { server, info: undefined, reports: undefined, failure: leased?.error ?? NOT_YET }
}

const NOT_YET: UpstreamFailure = { kind: 'timeout', message: 'it has not answered yet' }

const waited = (): Promise<undefined> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(undefined), OPENING_WAIT_MS).unref()
  })

/** `initialize` of a legacy client: answered here, and durable before it is (a restart must know the session). */
export function createInitialize(deps: OpeningDeps): (x: Exchange) => Promise<Refusal | undefined> {
  return async (x) => {
    const message = need(x.message, 'message')
    const offered = stringAt(message, 'params/protocolVersion')
    if (offered === undefined || offered.length > 32)
      return { code: 'invalid', problems: ['params.protocolVersion must be a revision'] }
    const clientInfo = rawAt(message, 'params/clientInfo') ?? '{"name":"unknown","version":"0"}'
    const capabilities = hasPath(message, 'params/capabilities')
      ? rawAt(message, 'params/capabilities')
      : '{}'
    if (clientInfo.length > 16_384 || (capabilities ?? '').length > 65_536)
      return { code: 'too_large', hint: 'clientInfo and capabilities are bounded' }
    const found = await findAll(deps.pool, x)
    const protocolVersion = negotiateLegacy(offered)
    const session = await openSession(deps.sessions, x, {
      principal: need(x.principal, 'principal').key,
      project: x.target.project,
      server: x.target.server,
      protocolVersion,
      client: `{"clientInfo":${clientInfo},"capabilities":${capabilities}}`,
    })
    x.session = session
    const result = {
      protocolVersion,
      capabilities: mergeCapabilities(x.era, found),
      serverInfo: deps.us,
      ...instructionsOf(x, found),
    }
    x.outcome = 'ok'
    const body = resultMessage(need(message.idText, 'id'), JSON.stringify(result))
    x.out.answer(200, [body], { 'mcp-session-id': session.id })
    return undefined
  }
}

/** On a connection of HTTP+SSE the session lives and ends with it; it is not kept anywhere else. */
async function openSession(
  sessions: Sessions,
  { connection }: Exchange,
  about: Parameters<Sessions['open']>[0],
): Promise<Session> {
  const session = await sessions.open(about, connection === undefined ? 'stored' : 'in-memory')
  const before = connection?.bind(session)
  if (before !== undefined) await sessions.end(before.id)
  if (connection?.gone === true) await sessions.end(session.id)
  return session
}

const DISCOVER_TTL_MS = 10_000

/** `server/discover` of a modern client. */
export function createDiscover(deps: OpeningDeps): (x: Exchange) => Promise<Refusal | undefined> {
  return async (x) => {
    const found = await findAll(deps.pool, x)
    const result = {
      supportedVersions: [...MODERN_REVISIONS],
      capabilities: mergeCapabilities(x.era, found),
      ...instructionsOf(x, found),
      resultType: 'complete',
      ttlMs: DISCOVER_TTL_MS,
      cacheScope: 'private',
      _meta: { [SERVER_INFO_KEY]: deps.us },
    }
    x.outcome = 'ok'
    x.out.answer(200, [resultMessage(need(x.message?.idText, 'id'), JSON.stringify(result))])
    return undefined
  }
}

/** What any of the servers can do, as far as we carry it; a server that is away is taken to have tools. */
function mergeCapabilities(era: Era, found: readonly Found[]): Capabilities {
  const all = found.map(({ info }): Capabilities => info?.capabilities ?? { tools: {} })
  const some = (has: (capabilities: Capabilities) => unknown): boolean =>
    all.some((one) => has(one) !== undefined)
  // Servers may be added to a project that has none; one that is away may tell of changes when it is back.
  const announces = (list: ListName): { readonly listChanged?: true } =>
    found.length === 0 || found.some(({ reports }) => reports?.[list] !== false) ? { listChanged: true } : {}
  const subscribes = found.some(
    ({ info, reports }) => info?.capabilities.resources?.subscribe === true && reports?.updates !== false,
  )
  return {
    ...(some(({ tools }) => tools) || found.length !== 1 ? { tools: announces('tools') } : {}),
    ...(some(({ prompts }) => prompts) ? { prompts: announces('prompts') } : {}),
    ...(some(({ resources }) => resources)
      ? { resources: { ...announces('resources'), ...(subscribes ? { subscribe: true } : {}) } }
      : {}),
    ...(some(({ completions }) => completions) ? { completions: {} } : {}),
    ...(some(({ logging }) => logging) ? { logging: {} } : {}),
    ...mergeExtensions(era, found),
    ...merged('experimental', all),
  }
}

/** Tasks only modern servers give, and only to modern clients; methods that are not served here are not offered. */
function mergeExtensions(era: Era, found: readonly Found[]): Partial<Capabilities> {
  const all = found.map(({ info }) => {
    const { [TASKS_KEY]: tasks, [SKILLS_KEY]: _skills, ...others } = info?.capabilities.extensions ?? {}
    return { extensions: era === 'modern' && givesTasks(info) ? { ...others, [TASKS_KEY]: tasks } : others }
  })
  return merged('extensions', all)
}

function merged(key: 'extensions' | 'experimental', all: readonly Capabilities[]): Partial<Capabilities> {
  const records: Readonly<Record<string, unknown>> = Object.assign({}, ...all.map((one) => one[key]))
  return Object.keys(records).length === 0 ? {} : { [key]: records }
}

const MAX_INSTRUCTIONS = 8192

/** The project's own words, then each server's under its name, then who is missing. */
function instructionsOf(x: Exchange, found: readonly Found[]): { readonly instructions?: string } {
  const project = need(x.project, 'project').view
  const single = x.target.server !== undefined
  const parts: string[] = []
  if (!single && project.spec.instructions !== undefined) parts.push(project.spec.instructions)
  for (const { server, info } of found) {
    if (info?.instructions === undefined) continue
    const text = info.instructions.slice(0, MAX_INSTRUCTIONS)
    parts.push(single ? text : `# ${server.name}\n${text}`)
  }
  const away = found.filter(({ info, failure }) => info === undefined || failure !== undefined)
  if (away.length > 0) {
    const lines = away.map(
      ({ server, failure }) => `- ${server.name}: ${failure?.message ?? 'it has not answered yet'}`,
    )
    parts.push(`# Not available at the moment\n${lines.join('\n')}`)
  }
  return parts.length === 0 ? {} : { instructions: parts.join('\n\n') }
}
