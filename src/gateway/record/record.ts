import type { Recorder } from '../../audit/entry.ts'
import type { Clock } from '../../lib/clock.ts'
import type { BootEpoch } from '../../lib/id.ts'
import { whoIs } from '../../access/principal.ts'
import type { ServerAuth } from '../../kinds/server-auth.ts'
import { placeName } from '../inject/grants.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'

export interface RecordDeps {
  readonly recorder: Recorder
  readonly clock: Clock
  readonly epoch: BootEpoch
}

export interface Record {
  /** The step `record`: the intent is queued, and from here on nothing leaves before it is durable. */
  readonly step: (x: Exchange) => Refusal | undefined | Promise<Refusal | undefined>
  /** A refusal by any step. */
  refused(x: Exchange, refusal: Refusal): void
  /** How a recorded exchange ended. */
  outcome(x: Exchange): void
}

const UNAVAILABLE: Refusal = {
  code: 'unavailable',
  hint: 'the record of calls cannot be written (castellan status says why); nothing was forwarded',
}

/** What is sent with a call that goes to a Server with a grant. */
const authOf = ({ route }: Exchange): ServerAuth | undefined => {
  const spec = route?.server.spec
  return spec === undefined || spec.transport === 'stdio' || route?.connect !== undefined
    ? undefined
    : spec.auth
}

/** A credential of others is used by nobody of whom there is no record. */
const waitsBefore = (x: Exchange): boolean =>
  x.project?.view.spec.audit.durability === 'before-forward' || authOf(x) !== undefined

export function createRecord({ recorder, clock, epoch }: RecordDeps): Record {
  let count = 0

  function intent(x: Exchange, decision: 'allow' | 'deny', reason: string | undefined): void {
    const who = whoIs(need(x.principal, 'principal'))
    const id = `${epoch}-${++count}`
    x.intentId = id
    const sends = decision === 'allow' ? authOf(x) : undefined
    x.segment = recorder.intent({
      type: 'intent',
      id,
      atMs: clock.nowMs(),
      event: x.kind,
      principal: who.principal,
      principalName: who.principalName,
      user: who.user,
      token: who.token,
      tokenSha: who.tokenSha,
      actor: who.actor,
      project: x.target.project,
      server: x.route?.server.name ?? x.target.server,
      target: x.route?.exposed.slice(0, 512),
      grant: sends?.grant,
      injected: sends && placeName(sends),
      session: x.session?.digest,
      decision,
      reason,
    })
    if (x.project?.view.spec.audit.durability !== 'batched') x.out.after(x.segment)
  }

  return {
    step(x) {
      if (!recorder.accepts()) return UNAVAILABLE
      intent(x, 'allow', undefined)
      const segment = need(x.segment, 'segment')
      if (segment.committed || !waitsBefore(x)) return undefined
      return segment.durable.then((durable) => (durable ? undefined : UNAVAILABLE))
    },
    refused(x, refusal) {
      if (refusal === UNAVAILABLE || x.intentId !== undefined) return
      const detail = typeof refusal.detail === 'string' ? `${refusal.code}: ${refusal.detail}` : refusal.code
      if (x.principal === undefined) recorder.refused(x.request.socket.remoteAddress ?? 'unknown', detail)
      else if (recorder.accepts()) intent(x, 'deny', detail)
    },
    outcome(x) {
      if (x.intentId === undefined || x.outcome === undefined) return
      const atMs = clock.nowMs()
      recorder.outcome({
        type: 'outcome',
        of: x.intentId,
        atMs,
        status: x.outcome,
        durationMs: Math.round((clock.tickMs() - x.startedMs) * 100) / 100,
        code: x.outcomeCode,
        session: x.kind === 'initialize' ? x.session?.digest : undefined,
      })
    },
  }
}
