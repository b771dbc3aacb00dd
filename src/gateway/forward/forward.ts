import { stringAt } from '../../protocol/message.ts'
import { need, type Exchange, type Refusal, type Route } from '../exchange.ts'
import { scopeOf, upstreamRefusal } from '../route/route.ts'
import { hearingCancel, isAbandoned, openCall } from './calls-in-flight.ts'
import { answerFor, eventFor, isNotFound, upstreamRequest, type Answer } from './bridge.ts'
import type { createLogLevels } from './log-level.ts'
import type { Lease, Pool } from './pool.ts'
import { decline } from './upstream.ts'

export interface ForwardDeps {
  readonly pool: Pool
  readonly levels: ReturnType<typeof createLogLevels>
  /** Called with an answer that is good, before it is given: what must be kept of it is kept first. */
  readonly answered: (x: Exchange, answer: Answer) => Promise<void> | undefined
}

/** The step `forward`: to the server and back. Refusals are what never reached it or never came back. */
export function createForward(deps: ForwardDeps): (x: Exchange) => Promise<Refusal | undefined> {
  return (x) => {
    const route = need(x.route, 'route')
    const lease = deps.pool.leaseNow(route.server, scopeOf(x))
    const ready = lease !== undefined && route.others.length === 0 && wantedLevel(x) === undefined
    return ready ? travel(deps, x, route, lease) : tryEach(deps, x, route)
  }
}

async function tryEach(deps: ForwardDeps, x: Exchange, route: Route): Promise<Refusal | undefined> {
  let refusal = await attempt(deps, x, route)
  for (const server of route.others) {
    if (refusal !== ASK_NEXT) break
    x.route = { ...route, server, others: [] }
    refusal = await attempt(deps, x, x.route)
  }
  return refusal
}

/** The server does not know the resource. Told by identity from a refusal that says the same of the last one asked. */
const ASK_NEXT: Refusal = { code: 'resource_not_found' }

async function attempt(deps: ForwardDeps, x: Exchange, route: Route): Promise<Refusal | undefined> {
  const leased = await hearingCancel(x, deps.pool.lease(route.server, scopeOf(x)))
  if (!leased.ok) return upstreamRefusal(route.server.name, leased.error)
  const level = wantedLevel(x)
  if (level !== undefined) await deps.levels.raise(leased.value, level)
  return travel(deps, x, route, leased.value)
}

function wantedLevel(x: Exchange): string | undefined {
  if (x.era === 'legacy') return x.session?.logLevel
  return stringAt(need(x.message, 'message'), 'params/_meta/io.modelcontextprotocol.logLevel')
}

function travel(deps: ForwardDeps, x: Exchange, route: Route, lease: Lease): Promise<Refusal | undefined> {
  if (x.kind === 'resources/subscribe' && lease.info.era === 'modern') {
    const hint = `${route.server.name} reports changes of resources in a way that does not fit this client`
    return Promise.resolve({ code: 'method_unavailable', hint })
  }
  if (isAbandoned(x)) {
    x.outcome = 'cancelled'
    x.out.cancelled()
    return Promise.resolve(undefined)
  }
  return new Promise((resolve) => {
    const finish = openCall(x.session, need(x.message?.idText, 'id'), () => {
      call.cancel()
      x.outcome = 'cancelled'
      // Nobody waits for an answer to what was cancelled, but the connection must not stay open for it.
      x.out.cancelled()
      conclude(undefined)
    })
    const conclude = (refusal: Refusal | undefined): void => {
      finish()
      resolve(refusal)
    }
    x.out.mayTakeLong()
    const call = lease.upstream.send(upstreamRequest(x, lease), {
      event(message) {
        const bytes = eventFor(x, message)
        if (bytes !== undefined) x.out.event(bytes)
      },
      asked: decline,
      withdrawn() {},
      reply(message) {
        lease.heard(undefined)
        if (route.others.length > 0 && message.shape === 'error' && isNotFound(message))
          return conclude(ASK_NEXT)
        const answer = answerFor(x, lease, message)
        if (!('bytes' in answer))
          return conclude({ ...answer, hint: `${route.server.name}: ${answer.hint ?? ''}` })
        x.outcome = answer.outcome
        x.outcomeCode = answer.code
        const give = (): void => {
          x.out.answer(answer.status, [answer.bytes])
          conclude(undefined)
        }
        const kept = deps.answered(x, answer)
        if (kept === undefined) give()
        else void settle(kept).then((refusal) => (refusal === undefined ? give() : conclude(refusal)))
      },
      failed(failure) {
        if (failure.kind === 'unreachable' || failure.kind === 'refused') lease.heard(failure)
        x.outcome = failure.kind === 'refused' || failure.kind === 'session-lost' ? 'error' : 'lost'
        conclude(upstreamRefusal(route.server.name, failure))
      },
    })
    // For modern clients a closed connection is the cancellation; for legacy ones it is not (MCP, cancellation).
    if (x.era === 'modern') {
      x.out.onGone(() => {
        call.cancel()
        x.outcome = 'cancelled'
        conclude(undefined)
      })
    }
  })
}

const settle = (kept: Promise<void>): Promise<Refusal | undefined> =>
  kept.then(
    () => undefined,
    (thrown: unknown) => ({ code: 'unavailable', hint: 'try again', detail: thrown }),
  )
