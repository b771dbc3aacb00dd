import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import { err } from '../../lib/result.ts'
import { unread, type SecretBackend } from './backend.ts'
import { FollowedValue, type Seen, type Timing } from './followed-value.ts'
import { createPlaces, type Places } from './places.ts'
import { READ_MS } from './read-bounded.ts'

/** What a Secret has elsewhere: in which backend, and each key with its reference. */
export interface Wanted {
  readonly backend: string
  readonly refs: Readonly<Record<string, string>>
}

/** Values that are kept elsewhere, in memory: whoever needs one for a call cannot wait for it. */
export interface References {
  /**
   * From here on these are followed for a Secret, instead of what was; undefined: none. Resolves when each was looked
   * at, or the time is over.
   *
   * @param owner uid of the Secret
   */
  follow(owner: string, wanted: Wanted | undefined, withinMs?: number): Promise<void>
  value(owner: string, key: string): SecretValue | undefined
  /** Another one for each value; undefined while there is none. */
  mark(owner: string, key: string): string | undefined
  /** By key. */
  seen(owner: string): ReadonlyMap<string, Seen>
  /** Called with the Secrets of which a value has come, gone or changed. */
  onChange(listener: (owners: ReadonlySet<string>) => void): void
  close(): void
}

export interface FollowDeps {
  readonly find: (backend: string) => SecretBackend | undefined
  readonly clock: Clock
  readonly log: Log
  readonly timing?: Partial<Timing>
}

/** 15 minutes: long enough for the restart of a service; a value that was taken back is not used for longer. */
const TIMING: Timing = {
  everyMs: 30_000,
  retryMs: 3000,
  keepMs: 15 * 60_000,
  readMs: READ_MS,
  settleMs: 100,
}

interface Cell {
  readonly id: string
  readonly backend: SecretBackend
  readonly value: FollowedValue
  /** Uids of the Secrets that refer to it. */
  readonly owners: Set<string>
}

/** Reads what Secrets refer to, and reads it again when it may have changed, and from time to time. */
export function followReferences(deps: FollowDeps): References {
  const timing = Object.assign({}, TIMING, deps.timing)
  const cells = new Map<string, Cell>()
  const byOwner = new Map<string, ReadonlyMap<string, Cell>>()
  const places = new Map<SecretBackend, Places>()
  const listeners: ((owners: ReadonlySet<string>) => void)[] = []
  let changed = new Set<string>()
  let marks = 0
  const newMark = (): string => String(++marks)
  const asked = new Set<SecretBackend>()
  let beats = 0
  const timer = setInterval(() => beat(++beats), timing.retryMs).unref()

  function beat(count: number): void {
    for (const { value } of cells.values()) value.expire()
    const isForAll = count % Math.ceil(timing.everyMs / timing.retryMs) === 0
    const wanted = [...cells.values()].filter(({ value }) => isForAll || isOpen(value.seen))
    for (const [backend, its] of Map.groupBy(wanted, (cell) => cell.backend)) {
      // A question that is not answered may hold a thread: there is one of them, not one for each beat.
      if (asked.has(backend)) continue
      asked.add(backend)
      void lookAt(backend, its, timing.readMs).finally(() => asked.delete(backend))
    }
  }

  function cellOf(backend: SecretBackend, reference: string): Cell {
    const id = `${backend.name} ${reference}`
    const known = cells.get(id)
    if (known !== undefined) return known
    const place = places.get(backend) ?? createPlaces(backend.parallel)
    places.set(backend, place)
    const owners = new Set<string>()
    const about = { backend, reference, places: place, timing, clock: deps.clock, log: deps.log, newMark }
    const value = new FollowedValue(Object.assign(about, { changed: () => tell(owners) }))
    const cell = { id, backend, value, owners }
    cells.set(id, cell)
    return cell
  }

  /** Whoever is told goes through all Servers, so it is told once of what comes together. */
  function tell(owners: ReadonlySet<string>): void {
    if (changed.size === 0) setImmediate(tellAll)
    for (const owner of owners) changed.add(owner)
  }

  function tellAll(): void {
    const owners = changed
    changed = new Set()
    for (const listener of listeners) listener(owners)
  }

  function want(owner: string, wanted: Wanted | undefined): readonly Cell[] {
    const backend = wanted === undefined ? undefined : deps.find(wanted.backend)
    const own = new Map<string, Cell>()
    if (backend !== undefined && wanted !== undefined)
      for (const [key, reference] of Object.entries(wanted.refs)) own.set(key, cellOf(backend, reference))
    for (const cell of own.values()) cell.owners.add(owner)
    release(owner, new Set(own.values()))
    if (own.size === 0) byOwner.delete(owner)
    else byOwner.set(owner, own)
    return [...own.values()]
  }

  function release(owner: string, kept: ReadonlySet<Cell>): void {
    for (const cell of byOwner.get(owner)?.values() ?? []) {
      if (kept.has(cell)) continue
      cell.owners.delete(owner)
      if (cell.owners.size === 0) forget(cell)
    }
  }

  function forget({ id, value }: Cell): void {
    value.close()
    cells.delete(id)
  }

  return {
    async follow(owner, wanted, withinMs = 0) {
      // Who waits has a reason: what was missing may have been put there.
      const unknown = want(owner, wanted).filter(
        ({ value: { seen } }) => seen.state === 'pending' || (withinMs > 0 && seen.state !== 'ready'),
      )
      const looks = unknown.map(({ value }) => value.firstLook())
      if (looks.length > 0 && withinMs > 0) await within(withinMs, looks)
    },
    value: (owner, key) => byOwner.get(owner)?.get(key)?.value.value,
    mark: (owner, key) => byOwner.get(owner)?.get(key)?.value.mark,
    seen: (owner) => new Map([...(byOwner.get(owner) ?? [])].map(([key, { value }]) => [key, value.seen])),
    onChange: (listener) => void listeners.push(listener),
    close() {
      clearInterval(timer)
      listeners.length = 0
      for (const cell of cells.values()) forget(cell)
      byOwner.clear()
    },
  }
}

/** What its backend has said nothing of: it is asked sooner again. */
const isOpen = ({ state }: Seen): boolean => state === 'away' || state === 'kept' || state === 'pending'

/**
 * One question to a backend that is away, instead of one for each of its values.
 *
 * @returns once it has answered, however late
 */
async function lookAt(backend: SecretBackend, its: readonly Cell[], readMs: number): Promise<void> {
  const isAway = (message: string): void => its.forEach(({ value }) => value.note(unread('away', message)))
  const giveUp = new AbortController()
  const late = setTimeout(() => {
    giveUp.abort()
    isAway(`there was no answer within ${readMs / 1000} s`)
  }, readMs).unref()
  const health = await backend.health(giveUp.signal).catch(() => err('it could not be asked'))
  clearTimeout(late)
  if (health.ok) for (const { value } of its) void value.look()
  else isAway(health.error)
}

function within(ms: number, all: readonly Promise<void>[]): Promise<unknown> {
  const over = Promise.withResolvers<void>()
  const timer = setTimeout(over.resolve, ms)
  return Promise.race([Promise.all(all), over.promise]).finally(() => clearTimeout(timer))
}
