import type { Session } from '../../classify/session.ts'
import type { Feeds } from '../../forward/feeds.ts'
import type { Listener } from './bus.ts'
import { LIST_BIT, LIST_NAMES, listChange, type Change } from './change.ts'
import type { Heard } from './heard-as.ts'

const LIST_CHANGES = {
  tools: listChange('tools'),
  prompts: listChange('prompts'),
  resources: listChange('resources'),
}

/** A legacy session as one who hears of changes: on its own stream, and on the next one of what it has missed. */
export class SessionListener implements Listener {
  readonly principal: string
  readonly session: string
  readonly project: string
  readonly server: string | undefined
  /** What it has subscribed to with servers, by the URI of the client. */
  readonly watched = new Map<string, Heard>()
  ended = false
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
    this.principal = session.principal
    this.session = session.id
    this.project = session.project
    this.server = session.server
  }

  listsChanged(lists: number): void {
    for (const list of LIST_NAMES) if ((lists & LIST_BIT[list]) !== 0) this.#say(LIST_CHANGES[list].legacy)
  }

  updated(_uri: string, change: Change): void {
    this.#say(change.legacy)
  }

  forget(uri: string, feeds: Feeds<Listener>): void {
    const watched = this.watched.get(uri)
    if (watched === undefined) return
    this.watched.delete(uri)
    feeds.unwatch(watched, watched.as)
  }

  #say(message: string): void {
    const { stream } = this.#session
    if (stream === undefined) this.#session.missed = true
    else stream.send(message)
  }
}

/** Of the sessions that listen or have subscribed; others cost nothing. */
export interface SessionListeners {
  of(session: Session): SessionListener
  find(session: Session): SessionListener | undefined
  drop(session: Session): void
  all(): Iterable<SessionListener>
}

export function createSessionListeners(): SessionListeners {
  const listeners = new Map<Session, SessionListener>()
  return {
    of(session) {
      let listener = listeners.get(session)
      if (listener === undefined) {
        listener = new SessionListener(session)
        listeners.set(session, listener)
      }
      return listener
    },
    find: (session) => listeners.get(session),
    drop: (session) => void listeners.delete(session),
    all: () => listeners.values(),
  }
}
