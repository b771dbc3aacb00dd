import type { Session } from './session.ts'

/** Of one principal. Clients that open a session for every call lose the ones they have left behind, longest unseen first. */
const MAX_SESSIONS = 1000
/** So many may look left behind and still have connections to servers of their own. */
const MAX_AWAKE = 64

interface Own {
  /** Each with when it was last seen as of its turn: who was seen since goes to the end when its turn comes. */
  readonly turns: Map<Session, number>
  /** Those that may have connections of their own to servers, the oldest first. */
  readonly awake: Set<Session>
}

/**
 * The sessions of each principal. Whoever opens many is held to a bound, at a cost that does not grow with how many there
 * are: the hot path notes only when a session was seen, and turns are taken when one is opened.
 */
export class PrincipalSessions {
  readonly #of = new Map<string, Own>()

  add(session: Session): void {
    const own = this.#of.get(session.principal) ?? { turns: new Map(), awake: new Set() }
    this.#of.set(session.principal, own)
    own.turns.set(session, session.seenAtMs)
    own.awake.add(session)
    session.rested = false
  }

  delete(session: Session): void {
    const own = this.#of.get(session.principal)
    own?.turns.delete(session)
    own?.awake.delete(session)
    if (own?.turns.size === 0) this.#of.delete(session.principal)
  }

  /** The session to end before this principal may have one more, if it has to be one. */
  surplus(principal: string): Session | undefined {
    const own = this.#of.get(principal)
    if (own === undefined || own.turns.size < MAX_SESSIONS) return undefined
    let oldest: Session | undefined
    // A session that goes to the end is met there a second time at most.
    for (const [session, atMs] of own.turns) {
      if (session.seenAtMs > atMs) {
        own.turns.delete(session)
        own.turns.set(session, session.seenAtMs)
      } else if (isQuiet(session)) return session
      else oldest ??= session
    }
    return oldest
  }

  /**
   * The sessions of this principal that look left behind, beyond a number: what servers hold for them can go. One that is
   * used again gets connections anew.
   */
  *toRest(principal: string): Generator<Session> {
    const awake = this.#of.get(principal)?.awake
    if (awake === undefined) return
    let turns = awake.size
    for (const session of awake) {
      if (awake.size <= MAX_AWAKE || turns-- <= 0) return
      awake.delete(session)
      if (!isQuiet(session)) awake.add(session)
      else {
        session.rested = true
        yield session
      }
    }
  }
}

/** Nobody listens, nothing runs, and nothing is to be said. */
const isQuiet = (session: Session): boolean =>
  session.stream === undefined && session.calls.size === 0 && session.subscriptions.size === 0
