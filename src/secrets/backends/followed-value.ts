import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import { unread, type Reading, type SecretBackend, type Unread } from './backend.ts'
import type { Places } from './places.ts'
import { readBounded } from './read-bounded.ts'

/** What is known of a value that is kept elsewhere. Never the value. */
export interface Seen {
  /** `kept`: its backend is away, and the last value is in use for a while. `pending`: it was not looked at yet. */
  readonly state: 'ready' | 'kept' | 'pending' | Unread['kind']
  /** Of the value that is in use. */
  readonly bytes?: number
  /** The last time that it was looked at. */
  readonly atMs?: number
  /** Why it is not ready. */
  readonly message?: string
}

export interface Timing {
  /** How often it is looked at everything, whether or not a backend has told of a change. */
  readonly everyMs: number
  /** The same for what could not be asked for. */
  readonly retryMs: number
  /** For how long after it was last read a value is used. */
  readonly keepMs: number
  readonly readMs: number
  /** Changes come in bursts: a file is made, written, and put in its place. */
  readonly settleMs: number
}

export interface FollowedDeps {
  readonly backend: SecretBackend
  readonly reference: string
  /** How many are read at the same time. */
  readonly places: Places
  readonly timing: Timing
  readonly clock: Clock
  readonly log: Log
  /** Another one each time. */
  readonly newMark: () => string
  /** There is another value, or none any more. */
  readonly changed: () => void
}

/** One value of a backend, kept in memory for as long as it may be used. */
export class FollowedValue {
  readonly #deps: FollowedDeps
  #value: SecretValue | undefined
  #mark: string | undefined
  #seen: Seen = { state: 'pending' }
  /** When it was last read, by the monotonic clock. */
  #goodMs = 0
  #looking: Promise<void> | undefined
  /** It may have changed since the look that is going on began. */
  #again = false
  #settling: NodeJS.Timeout | undefined
  #watch: { close(): void } | undefined
  #closed = false

  constructor(deps: FollowedDeps) {
    this.#deps = deps
    this.#watchAnew()
  }

  get value(): SecretValue | undefined {
    return this.#value
  }

  /** Undefined while there is no value. */
  get mark(): string | undefined {
    return this.#mark
  }

  get seen(): Seen {
    return this.#seen
  }

  /** One read at a time, also of one that is not answered: they would pile up. Resolves when it was looked at. */
  look(): Promise<void> {
    this.#again = this.#looking !== undefined
    this.#looking ??= this.#lookUntilSettled().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** The same, but that a look which is going on is enough. */
  firstLook(): Promise<void> {
    return this.#looking ?? this.look()
  }

  /** Takes what its backend has said, or that it says nothing. */
  note(reading: Reading): void {
    if (this.#closed) return
    const [{ state: before }, mark] = [this.#seen, this.#mark]
    if (reading.ok) this.#hold(reading.value)
    else if (reading.error.kind !== 'away' || this.#isTooOld()) this.#drop()
    const state = reading.ok ? 'ready' : this.#value === undefined ? reading.error.kind : 'kept'
    this.#seen = {
      state,
      atMs: this.#deps.clock.nowMs(),
      ...(this.#value === undefined ? {} : { bytes: this.#value.byteLength }),
      ...(reading.ok ? {} : { message: reading.error.message }),
    }
    if (state !== before) this.#moved(before)
    if (this.#mark !== mark) this.#deps.changed()
  }

  /** Gives up a value that was not read for too long, however its backend fails, and whether or not it answers. */
  expire(): void {
    if (this.#value === undefined || !this.#isTooOld()) return
    this.note(unread('away', this.#seen.message ?? 'it was not read for too long'))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#settling)
    this.#watch?.close()
    this.#drop()
  }

  async #lookUntilSettled(): Promise<void> {
    const { backend, reference, places, timing } = this.#deps
    do {
      this.#again = false
      await places.take(async () => {
        if (this.#closed) return
        const { answer, settled } = readBounded(backend, reference, timing.readMs)
        const first = await answer
        this.note(first)
        // Its place stays taken meanwhile.
        const last = await settled
        if (last !== first) this.note(last)
      })
    } while (this.#again && !this.#closed)
  }

  #hold(value: SecretValue): void {
    this.#goodMs = this.#deps.clock.tickMs()
    if (this.#value?.equals(value) === true) return
    this.#value = value
    this.#mark = this.#deps.newMark()
  }

  #drop(): void {
    this.#value = undefined
    this.#mark = undefined
  }

  #isTooOld(): boolean {
    return this.#deps.clock.tickMs() - this.#goodMs >= this.#deps.timing.keepMs
  }

  #moved(before: Seen['state']): void {
    const { backend, reference, log } = this.#deps
    const { state, message } = this.#seen
    const about = { backend: backend.name, reference, state, message }
    if (state !== 'ready') log.warn(about, 'a secret value cannot be read')
    else if (before !== 'pending') log.info(about, 'a secret value is read again')
    this.#watchAnew()
  }

  /** What is watched may itself come and go: a directory that is mounted anew is another one. */
  #watchAnew(): void {
    const { backend, reference, timing } = this.#deps
    this.#watch?.close()
    this.#watch = backend.watch?.(reference, () => {
      this.#settling ??= setTimeout(() => {
        this.#settling = undefined
        void this.look()
      }, timing.settleMs).unref()
    })
  }
}
