import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { sameText } from '../lib/same-text.ts'
import { SecretValue } from '../lib/secret-value.ts'
import type { AuthorizationServer, Resource } from '../oauth/client/authorization-server.ts'
import type { GrantKey } from './grant.ts'

/** How an authorization that somebody started stands. */
export type AttemptState =
  | { readonly state: 'waiting' }
  | { readonly state: 'done' }
  /** One public sentence. */
  | { readonly state: 'failed'; readonly problem: string }

/** What an authorization will become when its answer is good. */
export interface Draft {
  readonly key: GrantKey
  readonly server: string | undefined
  readonly origins: readonly string[]
  /** Of the authorization server, as far as a user has named them: they may be private ones. */
  readonly hosts: readonly string[]
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly redirectUri: string
  /** Of the authorization request (RFC 7636). */
  readonly verifier: string
  /** Who has started it, by the key of the principal. */
  readonly startedBy: string
  readonly page: StartPage | undefined
}

/** The page of ours that an authorization was started on. */
export interface StartPage {
  /** Its address here, to come back to. */
  readonly at: string
  /** Of the browser, known to it and to nobody else: whoever sends another person to the authorization server gains nothing. */
  readonly browser: string
}

export interface AttemptRow {
  readonly id: string
  /** SHA-256 of the `state` of the authorization request, in hex. */
  readonly stateDigest: string
  readonly expiresAtMs: number
}

/** Attempts are kept where every process of a database finds them: a browser comes back to any of them. */
export interface AttemptStore {
  /** @throws Fault `too_many` */
  add(row: AttemptRow, draft: SecretValue): Promise<void>
  /**
   * Once: of several that bring one answer, one gets it.
   *
   * @param id the only one that it may be of; undefined: whichever it belongs to
   */
  take(
    stateDigest: string,
    id?: string,
  ): Promise<{ readonly id: string; readonly draft: SecretValue } | undefined>
  settle(id: string, result: AttemptState): Promise<void>
  find(id: string): Promise<AttemptState | undefined>
}

/** Between an authorization request and its answer. */
export interface Attempts {
  /** @returns what `GET …/attempts/{id}` is asked with @throws Fault `too_many` */
  add(state: string, draft: Draft): Promise<string>
  /** One whose end no authorization server tells: something else settles it. @throws Fault `too_many` */
  wait(startedBy: string): Promise<string>
  /** @param id as `AttemptStore.take` */
  take(state: string, id?: string): Promise<{ readonly id: string; readonly draft: Draft } | undefined>
  settle(id: string, result: AttemptState): Promise<void>
  /** How it stands; waits for its end, but no longer than that. Undefined: there is none (any more). */
  find(id: string, waitMs: number): Promise<AttemptState | undefined>
}

/** MCP, "Open redirection": short, and single use. */
export const ATTEMPT_MS = 10 * 60_000
/** An end that another process has seen. */
const LOOK_MS = 500
/** Nobody takes the room that there is for all. */
const MAX_OF_ONE = 50
const MAX_STARTERS = 10_000
/** Starts them for others. */
const ADMINISTRATOR = 'local-admin'

export function createAttempts(store: AttemptStore, clock: Clock): Attempts {
  const waiting = new Map<string, Set<() => void>>()
  /** When they are over, by who has started them here. */
  const begun = new Map<string, readonly number[]>()

  function takeRoom(starter: string): void {
    if (starter === ADMINISTRATOR) return
    const now = clock.tickMs()
    const open = (begun.get(starter) ?? []).filter((until) => until > now)
    if (open.length >= MAX_OF_ONE)
      throw new Fault('too_many', {
        hint: 'you have started fifty authorizations within ten minutes; try again in a while',
      })
    if (begun.size >= MAX_STARTERS) begun.clear()
    begun.set(starter, [...open, now + ATTEMPT_MS])
  }

  async function find(id: string, waitMs: number): Promise<AttemptState | undefined> {
    const until = clock.tickMs() + waitMs
    for (;;) {
      const found = await store.find(id)
      const left = until - clock.tickMs()
      if (found?.state !== 'waiting' || left <= 0) return found
      await told(id, Math.min(left, LOOK_MS))
    }
  }

  function told(id: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const those = waiting.get(id) ?? new Set()
      waiting.set(id, those)
      const done = (): void => {
        clearTimeout(timer)
        those.delete(done)
        if (those.size === 0) waiting.delete(id)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      those.add(done)
    })
  }

  async function add(state: string, draft: Draft | Pick<Draft, 'startedBy'>): Promise<string> {
    takeRoom(draft.startedBy)
    const id = randomBytes(16).toString('base64url') + starterDigest(draft.startedBy)
    const row = { id, stateDigest: digest(state), expiresAtMs: clock.nowMs() + ATTEMPT_MS }
    await store.add(row, new SecretValue(JSON.stringify(draft)))
    return id
  }

  return {
    add,
    // Nobody knows the state, so nobody takes it.
    wait: (startedBy) => add(randomBytes(32).toString('base64url'), { startedBy }),
    async take(state, id) {
      const found = await store.take(digest(state), id)
      return found && { id: found.id, draft: JSON.parse(found.draft.reveal()) as Draft }
    },
    async settle(id, result) {
      await store.settle(id, result)
      for (const tell of waiting.get(id) ?? []) tell()
    },
    find,
  }
}

/** Whether this principal has started it, where there is such an attempt: ids end with whom they were made for. */
export const isStartedBy = (id: string, principal: string): boolean =>
  sameText(id.slice(-STARTER_LENGTH), starterDigest(principal))

const STARTER_LENGTH = 22
const starterDigest = (principal: string): string =>
  hash('sha256', principal, 'base64url').slice(0, STARTER_LENGTH)

const digest = (state: string): string => hash('sha256', state, 'hex')
