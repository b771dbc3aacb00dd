import type { Session } from './session.ts'

/** Of one principal. Clients that open a session for every call lose the ones they have left behind, longest unseen first. */
const MAX_SESSIONS = 1000
/** So many may look left behind and still have connections to servers of their own. */
const MAX_AWAKE = 64

interface Own {
  /** In order of when each was last seen, as of then: they are put in order anew when one comes up that was seen since. */
  turns: Map<Session, number>
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
    // One that is used again after a rest keeps its turn, at which it shows that it was seen since.
    if (!own.turns.has(session)) own.turns.set(session, session.seenAtMs)
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
    const found = longestUnused(own.turns)
    if (found !== 'out of order') return found
    const sessions = [...own.turns.keys()].toSorted((a, b) => a.seenAtMs - b.seenAtMs)
    own.turns = new Map(sessions.map((session) => [session, session.seenAtMs]))
    const first = longestUnused(own.turns)
    return first === 'out of order' ? undefined : first
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

/** The first that is quiet, or the first of all if none is. */
function longestUnused(turns: ReadonlyMap<Session, number>): Session | 'out of order' | undefined {
  let first: Session | undefined
  for (const [session, atMs] of turns) {
    if (session.seenAtMs > atMs) return 'out of order'
    if (isQuiet(session)) return session
    first ??= session
  }
  return first
}

/** Nobody listens, nothing runs, and nothing is to be said. */
const isQuiet = (session: Session): boolean =>
  session.stream === undefined && session.calls.size === 0 && session.subscriptions.size === 0
