import { randomBytes } from 'node:crypto'
import { Fault } from '../lib/fault.ts'
import type { Leg } from '../oauth/client/authorization.ts'

/** How an authorization that somebody started stands. */
export type AttemptState =
  | { readonly state: 'waiting' }
  | { readonly state: 'done' }
  /** One public sentence. */
  | { readonly state: 'failed'; readonly problem: string }

/** Between the authorization request and its answer: in memory only, so that a restart forgets it and nobody can replay it. */
export interface Attempt<Draft> {
  readonly id: string
  readonly name: string
  readonly leg: Leg
  readonly draft: Draft
  readonly startedTick: number
  result: AttemptState
  readonly settled: Promise<void>
  settle(result: AttemptState): void
}

export interface Pending<Draft> {
  /** @throws Fault `too_many` */
  add(name: string, leg: Leg, draft: Draft): Attempt<Draft>
  /** The attempt that a state belongs to: once, and of this name only. */
  take(name: string, state: string): Attempt<Draft> | undefined
  find(id: string): Attempt<Draft> | undefined
}

/** MCP, "Open redirection" and OAuth 2.1: short, and single use. */
const LIFE_MS = 10 * 60 * 1000
const MAX_PENDING = 100

export function createPending<Draft>(tickMs: () => number): Pending<Draft> {
  const byState = new Map<string, Attempt<Draft>>()
  const byId = new Map<string, Attempt<Draft>>()

  function forgetOld(): void {
    const oldest = tickMs() - LIFE_MS
    for (const attempt of byId.values()) {
      if (attempt.startedTick > oldest) return
      byId.delete(attempt.id)
      byState.delete(attempt.leg.state)
      attempt.settle({ state: 'failed', problem: 'nobody finished it within ten minutes' })
    }
  }

  return {
    add(name, leg, draft) {
      forgetOld()
      if (byId.size >= MAX_PENDING)
        throw new Fault('too_many', {
          hint: 'a hundred authorizations are under way; try again in ten minutes',
        })
      const attempt = createAttempt(name, leg, draft, tickMs())
      byState.set(leg.state, attempt)
      byId.set(attempt.id, attempt)
      return attempt
    },
    take(name, state) {
      forgetOld()
      const attempt = byState.get(state)
      byState.delete(state)
      return attempt?.name === name ? attempt : undefined
    },
    find(id) {
      forgetOld()
      return byId.get(id)
    },
  }
}

function createAttempt<Draft>(name: string, leg: Leg, draft: Draft, startedTick: number): Attempt<Draft> {
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    id: randomBytes(16).toString('base64url'),
    name,
    leg,
    draft,
    startedTick,
    result: { state: 'waiting' },
    settled: promise,
    settle(result) {
      if (this.result.state !== 'waiting') return
      this.result = result
      resolve()
    },
  }
}
