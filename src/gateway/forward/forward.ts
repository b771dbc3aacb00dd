import { hasPath, stringAt } from '../../protocol/message.ts'
import { need, type Exchange, type Refusal, type Route } from '../exchange.ts'
import { scopeOf, upstreamRefusal } from '../route/route.ts'
import { hearingCancel, isAbandoned } from './calls-in-flight.ts'
import { ASK_NEXT, ForwardedCall, mayBeAsked, type CallDeps } from './forwarded-call.ts'
import type { Connecting } from './connect/connecting.ts'
import type { createLogLevels } from './log-level.ts'
import type { Lease, Pool } from './pool.ts'
import type { Resume } from './park/resume.ts'
import type { Turns } from './turns.ts'

export interface ForwardDeps extends CallDeps {
  readonly pool: Pool
  readonly levels: ReturnType<typeof createLogLevels>
  readonly turns: Turns
  readonly resume: Resume
  readonly connecting: Connecting
}

/** The step `forward`: to the server and back. Refusals are what never reached it or never came back. */
export function createForward(deps: ForwardDeps): (x: Exchange) => Promise<Refusal | undefined> {
  const { connecting } = deps
  /** What stands in the way of this caller alone. */
  const lead = (
    x: Exchange,
    refusal: Refusal | undefined,
  ): Promise<Refusal | undefined> | Refusal | undefined =>
    refusal?.connect === undefined ? refusal : connecting.answer(x, refusal.connect)
  return (x) => {
    const route = need(x.route, 'route')
    if (route.connect === 'done') return Promise.resolve(connecting.done(x))
    if (route.connect !== undefined) return connecting.answer(x, route.connect.why)
    const lease = deps.pool.leaseNow(route.server, scopeOf(x))
    const ready =
      lease !== undefined &&
      route.others.length === 0 &&
      !lease.upstream.asks &&
      wantedLevel(x) === undefined &&
      !isRetry(x)
    const done = ready ? travel(deps, x, route, lease) : tryEach(deps, x, route)
    return route.server.holder === undefined ? done : done.then((refusal) => lead(x, refusal))
  }
}

/** A modern client comes back with answers, or at least with the state that it was given. */
const isRetry = (x: Exchange): boolean =>
  x.era === 'modern' && hasPath(need(x.message, 'message'), 'params/requestState')

async function tryEach(deps: ForwardDeps, x: Exchange, route: Route): Promise<Refusal | undefined> {
  let refusal = await attempt(deps, x, route)
  for (const server of route.others) {
    if (refusal !== ASK_NEXT) break
    x.route = { ...route, server, others: [] }
    refusal = await attempt(deps, x, x.route)
  }
  return refusal
}

async function attempt(deps: ForwardDeps, x: Exchange, route: Route): Promise<Refusal | undefined> {
  const resumed = isRetry(x) ? await deps.resume(x) : 'again'
  if (resumed !== 'again' && resumed !== 'foreign') return resumed
  const leased = await hearingCancel(x, deps.pool.lease(route.server, scopeOf(x)))
  if (!leased.ok) return upstreamRefusal(route.server.name, leased.error)
  // A modern server's own state is for that server to judge, be it a gateway like this one.
  if (resumed === 'foreign' && leased.value.info.era === 'legacy') return UNKNOWN_STATE
  const level = wantedLevel(x)
  if (level !== undefined) await deps.levels.raise(leased.value, level)
  return travel(deps, x, route, leased.value)
}

const UNKNOWN_STATE: Refusal = {
  code: 'invalid',
  problems: ['params.requestState is not one that was given here'],
  hint: 'send the request again without it',
}

function wantedLevel(x: Exchange): string | undefined {
  if (x.era === 'legacy') return x.session?.logLevel
  return stringAt(need(x.message, 'message'), 'params/_meta/io.modelcontextprotocol.logLevel')
}

function travel(deps: ForwardDeps, x: Exchange, route: Route, lease: Lease): Promise<Refusal | undefined> {
  if (isAbandoned(x)) {
    x.outcome = 'cancelled'
    x.out.cancelled()
    return Promise.resolve(undefined)
  }
  // Calls that nobody can be asked about need no turn.
  const takesTurns = lease.upstream.asks && !lease.sharer.startsWith('session:') && mayBeAsked(x)
  if (takesTurns) return inTurn(deps, x, route, lease)
  return new Promise((resolve) => {
    new ForwardedCall(deps, { x, route, lease }, resolve, undefined).start()
  })
}

async function inTurn(
  deps: ForwardDeps,
  x: Exchange,
  route: Route,
  lease: Lease,
): Promise<Refusal | undefined> {
  const waitMs = route.server.spec.timeouts.callSeconds * 1000
  const giveOn = await hearingCancel(x, deps.turns.take(lease.upstream, waitMs))
  if (giveOn === undefined) return BUSY
  if (isAbandoned(x)) {
    giveOn()
    x.outcome = 'cancelled'
    x.out.cancelled()
    return undefined
  }
  return new Promise((resolve) => {
    new ForwardedCall(deps, { x, route, lease }, resolve, giveOn).start()
  })
}

const BUSY: Refusal = {
  code: 'upstream_timeout',
  hint: 'another call waits for an answer of its user; with spec.instances: per-session calls need not wait for each other',
}
