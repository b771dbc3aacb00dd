import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { credentialOf, keyOf, type Grant, type GrantKey, type GrantStore } from './grant.ts'

/** Grants as one process knows them: in memory for calls, durable before they are used, never older than a moment. */
export interface Keeper {
  /** As far as it is in memory. */
  readonly peek: (key: string) => Grant | undefined
  /** What is sent for it, opened; kept open for a minute. Undefined: there is none, or it does not open. */
  readonly credential: (grant: Grant) => SecretValue | undefined
  /** As it is in memory, or in the store. That there is none is believed for a second. */
  find(key: GrantKey): Promise<Grant | undefined>
  /** As it is in the store. */
  reload(key: GrantKey): Promise<Grant | undefined>
  /**
   * Changes what is stored, by a function of it that may be asked again when another was faster; undefined: leave it.
   *
   * @param told other processes must not go on with what they hold
   * @returns what is stored then, durably
   * @throws Fault `conflict`
   */
  update(
    key: GrantKey,
    change: (stored: Grant | undefined) => Grant | undefined,
    told?: boolean,
  ): Promise<Grant | undefined>
  remove(key: GrantKey): Promise<void>
  /** Puts one into memory that is stored nowhere: what is stored by its key comes back with the next change of that. */
  hold(grant: Grant): void
  /** Out of memory; what is stored stays. */
  drop(key: string): void
  /** Of those in memory. */
  known(): Iterable<Grant>
  close(): void
}

export interface KeeperDeps {
  readonly store: GrantStore
  readonly clock: Clock
  readonly log: Log
  /** Other processes write to the same store. */
  readonly shared: boolean
  /** Another process has changed or removed it. */
  readonly changed: (key: string) => void
  /** Of those that are used at one time; the rest is read again when somebody needs it. */
  readonly maxKnown?: number
}

/** A value that is not used is not in the open for longer. */
const OPEN_MS = 60_000
const MISSING_MS = 1000
const MAX_TRIES = 20
const SWEEP_MS = 20_000
/** Other processes are asked for what they changed. */
const FOLLOW_MS = 500
/** So long may nobody be able to say whether something was taken back. */
const BLIND_MS = 5000
const MAX_KNOWN = 20_000

interface Opened {
  readonly of: Grant
  readonly value: SecretValue | undefined
  readonly untilTick: number
}

export function createKeeper(deps: KeeperDeps): Keeper {
  const { store, clock, log, maxKnown = MAX_KNOWN } = deps
  const grants = new Map<string, Grant>()
  const opened = new Map<string, Opened>()
  const missing = new Map<string, number>()
  const reads = createReads()
  const timers = [setInterval(forgetOpened, SWEEP_MS)]
  if (deps.shared) timers.push(setInterval(look, FOLLOW_MS))
  for (const timer of timers) timer.unref()
  let following = false
  let seenTick = clock.tickMs()

  function put(key: string, grant: Grant): Grant {
    missing.delete(key)
    grants.delete(key)
    const [oldest] = grants.keys()
    if (grants.size >= maxKnown && oldest !== undefined) forget(oldest)
    grants.set(key, grant)
    return grant
  }

  function forget(key: string): void {
    grants.delete(key)
    opened.delete(key)
  }

  async function reload(wanted: GrantKey): Promise<Grant | undefined> {
    const key = keyOf(wanted)
    const stored = await reads.latest(key, () => store.find(wanted))
    if (stored === undefined) {
      forget(key)
      if (missing.size >= maxKnown) missing.clear()
      missing.set(key, clock.tickMs() + MISSING_MS)
      return undefined
    }
    const known = grants.get(key)
    // What this process has written meanwhile may be newer than what was read.
    if (known?.uid === stored.uid && known.version >= stored.version) return known
    return put(key, stored)
  }

  async function update(
    wanted: GrantKey,
    change: (stored: Grant | undefined) => Grant | undefined,
    told = true,
  ): Promise<Grant | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const stored = await reload(wanted)
      const changed = change(stored)
      if (changed === undefined) return stored
      const next = { ...changed, version: (stored?.version ?? 0) + 1 }
      const { value: kept, isLatest } = await reads.one(keyOf(wanted), () => store.save(next, told))
      if (kept !== undefined) return isLatest ? put(keyOf(wanted), kept) : kept
    }
    throw new Fault('conflict', { hint: 'the grant is being changed by many at once; try again' })
  }

  function credential(grant: Grant): SecretValue | undefined {
    const key = keyOf(grant)
    const found = opened.get(key)
    if (found?.of === grant && found.untilTick > clock.tickMs()) return found.value
    const value = open(grant)
    opened.set(key, { of: grant, value, untilTick: clock.tickMs() + OPEN_MS })
    return value
  }

  function open(grant: Grant): SecretValue | undefined {
    try {
      return credentialOf(grant)?.open()
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown
      log.warn({ err: thrown, grant: grant.name }, 'a grant does not open')
      return undefined
    }
  }

  function forgetOpened(): void {
    const now = clock.tickMs()
    for (const [key, { untilTick }] of opened) if (untilTick <= now) opened.delete(key)
    for (const [key, until] of missing) if (until <= now) missing.delete(key)
  }

  function look(): void {
    // What was taken back meanwhile would go on being sent: also while an answer is awaited that never comes.
    if (clock.tickMs() - seenTick >= BLIND_MS) forgetAll()
    if (!following) void follow()
  }

  async function follow(): Promise<void> {
    following = true
    const askedTick = clock.tickMs()
    try {
      const keys = await store.changes()
      if (keys === undefined) log.info('changes of grants were missed: all are read again')
      for (const key of keys ?? [...grants.keys(), ...reads.keys()]) tell(key)
      if (keys === undefined) missing.clear()
      seenTick = askedTick
    } catch (thrown) {
      log.debug({ err: thrown }, 'changes of grants cannot be read')
    } finally {
      following = false
    }
  }

  function tell(key: string): void {
    reads.outdate(key)
    forget(key)
    missing.delete(key)
    deps.changed(key)
  }

  function forgetAll(): void {
    grants.clear()
    opened.clear()
  }

  return {
    peek: (key) => grants.get(key),
    credential,
    async find(wanted) {
      const key = keyOf(wanted)
      const known = grants.get(key)
      if (known !== undefined) return known
      return (missing.get(key) ?? 0) > clock.tickMs() ? undefined : reload(wanted)
    },
    reload,
    update,
    async remove(wanted) {
      await store.remove(wanted)
      reads.outdate(keyOf(wanted))
      forget(keyOf(wanted))
    },
    hold: (grant) => void put(keyOf(grant), grant),
    drop: forget,
    known: () => grants.values(),
    close() {
      for (const timer of timers) clearInterval(timer)
      opened.clear()
    },
  }
}

interface Reads {
  /** What came of it, and whether nobody has changed it meanwhile. */
  one<T>(key: string, work: () => Promise<T>): Promise<{ readonly value: T; readonly isLatest: boolean }>
  /** The same, again until it is so. */
  latest<T>(key: string, work: () => Promise<T>): Promise<T>
  /** What is under way for this key may bring what it was before. */
  outdate(key: string): void
  keys(): Iterable<string>
}

/** Work on the store that is under way: a slow answer must not bring back what was taken back while it travelled. */
function createReads(): Reads {
  const under = new Map<string, { count: number; changes: number }>()

  async function one<T>(key: string, work: () => Promise<T>) {
    const state = under.get(key) ?? { count: 0, changes: 0 }
    under.set(key, state)
    state.count++
    const { changes } = state
    try {
      const value = await work()
      return { value, isLatest: state.changes === changes }
    } finally {
      if (--state.count === 0) under.delete(key)
    }
  }

  return {
    one,
    async latest(key, work) {
      for (;;) {
        const { value, isLatest } = await one(key, work)
        if (isLatest) return value
      }
    },
    outdate(key) {
      const state = under.get(key)
      if (state !== undefined) state.changes++
    },
    keys: () => [...under.keys()],
  }
}
