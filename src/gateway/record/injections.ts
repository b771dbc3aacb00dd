import type { Recorder } from '../../audit/entry.ts'
import type { Clock } from '../../lib/clock.ts'
import type { BootEpoch } from '../../lib/id.ts'
import type { Injection } from '../inject/grants.ts'

/**
 * What the gateway sends with a grant without being asked (a greeting, a list, a stream) is on the record by the
 * connection that it goes over; calls have entries of their own.
 */
export interface InjectionRecord {
  /** A connection is going to carry it. @returns once that is durable; false: it cannot be written */
  sent(what: Injection): Promise<boolean>
  /** @param why one public sentence */
  withheld(what: Injection, why: string): void
}

export interface InjectionRecordDeps {
  readonly recorder: Pick<Recorder, 'accepts' | 'intent'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly epoch: BootEpoch
}

export function createInjectionRecord({ recorder, clock, epoch }: InjectionRecordDeps): InjectionRecord {
  let count = 0
  const say = (what: Injection, decision: 'allow' | 'deny', reason?: string) =>
    recorder.intent({
      type: 'intent',
      // The record of calls counts too: the letter keeps the two apart.
      id: `${epoch}-i${(count += 1)}`,
      atMs: clock.nowMs(),
      event: 'inject grants',
      ...whoseIs(what),
      server: what.server,
      grant: what.grant,
      injected: what.place,
      decision,
      reason,
    })
  return {
    async sent(what) {
      if (!recorder.accepts()) return false
      const segment = say(what, 'allow')
      return segment.committed || segment.durable
    },
    withheld(what, why) {
      if (recorder.accepts()) void say(what, 'deny', why)
    },
  }
}

/** What all share is the daemon's own. */
function whoseIs({ holder, holderName }: Injection): {
  readonly principal: string
  readonly principalName: string
  readonly user?: string
} {
  if (holder === '') return { principal: 'system', principalName: 'system' }
  const principalName = holderName ?? holder
  return holder.startsWith('user:')
    ? { principal: holder, principalName, user: principalName }
    : { principal: holder, principalName }
}
