import type { Recorder } from '../../audit/entry.ts'
import type { KeyReport } from '../../control/render/keys.ts'
import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import { newMasterKey, readKeyText, type MasterKey } from '../../secrets/keys/key.ts'
import type { Rotation } from '../../secrets/keys/key-record.ts'
import type { KeySource } from '../../secrets/keys/key-source.ts'
import type { Keyring } from '../../secrets/keys/keyring.ts'
import {
  advanceRotation,
  createKeyFollower,
  type KeyFollower,
  type Own,
  type Waiting,
} from '../../secrets/keys/rotation.ts'
import { wrapMasterKey, type StoreKey } from '../../secrets/keys/wrap.ts'
import { forgetOverwritten } from '../../store/sealed-tables.ts'
import type { Store } from '../../store/store.ts'
import { createHolderWatch, type HolderWatch } from './holder-watch.ts'
import type { StoreKeyRecord } from './key-record.ts'
import { reportKeys } from './key-report.ts'

export interface KeyServiceDeps {
  readonly store: Pick<Store, 'control' | 'state' | 'dialect'>
  readonly record: StoreKeyRecord
  readonly source: KeySource
  readonly ring: Keyring
  readonly storeKey: StoreKey
  /** Id of the key that the source held at the start. */
  readonly startedWith: string
  /** Whether other daemons may work on the database. */
  readonly shared: boolean
  readonly recorder: Pick<Recorder, 'intent'>
  readonly bootEpoch: string
  readonly log: Log
  readonly clock: { readonly nowMs: () => number; readonly tickMs: () => number }
  readonly beatMs?: number
}

export interface RotateRequest {
  /** What a key file holds; absent: a key is made, or taken from where an operator has put one. */
  readonly key?: SecretValue | undefined
  /** The place of the old key is left with it after the end. */
  readonly keepOld: boolean
}

const BEAT_MS = 1000
/** Beats from one time that a daemon shows that it lives to the next. */
const SHOW_EVERY = 3

/**
 * What one daemon does about the master keys of its store: it follows what the store says of them, begins rotations,
 * and takes them to their end where it is the one that does so for all.
 */
export class KeyService {
  readonly #deps: KeyServiceDeps
  readonly #follower: KeyFollower
  readonly #holders: HolderWatch
  readonly #ending = new AbortController()
  #leads = false
  #waiting: Waiting | undefined
  #own: Own
  #turn: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #failing = false
  #beats = 0
  #rotating = false
  /** Values that were named in the log: they do not open, at each try. */
  readonly #named = new Set<string>()

  constructor(deps: KeyServiceDeps) {
    const { source, ring, log, clock, startedWith, record } = deps
    this.#deps = deps
    this.#follower = createKeyFollower({ ring, source, log, tickMs: clock.tickMs }, startedWith)
    this.#holders = createHolderWatch(record)
    this.#own = { startsWith: startedWith, knows: '', sealsWith: '' }
  }

  /** Says how far this daemon is, and follows from here on. */
  async begin(): Promise<void> {
    await this.#once()
    this.#next()
  }

  /** For as long as the signal says, this daemon takes rotations to their end, for all. */
  async lead(signal: AbortSignal): Promise<void> {
    this.#leads = true
    const { promise, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => resolve(), { once: true })
    await this.#look()
    await promise
    this.#leads = false
  }

  /**
   * Begins a rotation.
   *
   * @returns the id of the new key
   * @throws Fault `conflict` when one is under way; `invalid` for a key that cannot be the next
   */
  async rotate({ key, keepOld }: RotateRequest): Promise<string> {
    const { record, ring, clock } = this.#deps
    const { inUse, rotation, retired } = await record.read()
    const old = inUse === undefined ? undefined : ring.get(inUse.keyId)
    if (rotation !== undefined) throw underWay(rotation)
    if (old === undefined)
      throw new Fault('unavailable', { hint: 'start this daemon again with the key in use' })
    const next = key === undefined ? await this.#nextKey(old) : readNextKey(key)
    if (next.id === old.id || retired.some(({ keyId }) => keyId === next.id))
      throw new Fault('invalid', {
        problems: ['key: is in use, or was used before'],
        hint: 'castellan keys new --out FILE makes another',
      })
    const begun = await record.begin({
      oldKey: old.id,
      newKey: next.id,
      phase: 'announced',
      newUnderOld: wrapMasterKey(old, next),
      oldUnderNew: wrapMasterKey(next, old),
      keepOld,
      oldSinceMs: inUse?.sinceMs ?? 0,
      begunAtMs: clock.nowMs(),
    })
    if (!begun) throw underWay((await record.read()).rotation)
    void this.#look()
    return next.id
  }

  /** What there is to say of the keys, for people. */
  report(): Promise<KeyReport> {
    return reportKeys(this.#deps.store, this.#deps.record, this.#waiting?.shut)
  }

  async close(): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#timer)
    await this.#turn.catch(() => undefined)
    await this.#deps.record.leave().catch(() => undefined)
  }

  /** A key that the operator has put where this daemon starts from; else one that is made, if it can be put there. */
  async #nextKey(old: MasterKey): Promise<MasterKey> {
    const { source } = this.#deps
    const there = await source.read()
    if (there !== undefined && there.id !== old.id) return there
    const hint = `this daemon cannot put a new key into ${source.where}: make one with castellan keys new --out FILE, and give it with castellan keys rotate --to FILE`
    if (source.keep === undefined) throw new Fault('conflict', { hint })
    await source.keep.checkReplace().catch((cause: unknown) => {
      throw new Fault('conflict', { hint, cause })
    })
    return newMasterKey()
  }

  /** Where nobody else can write, there is nothing to look for but while a key is being replaced. */
  #next(): void {
    clearTimeout(this.#timer)
    if (this.#ending.signal.aborted || !(this.#deps.shared || this.#rotating)) return
    this.#timer = setTimeout(() => void this.#look(), this.#deps.beatMs ?? BEAT_MS)
    this.#timer.unref()
  }

  /** One look at a time; failures are logged once. */
  #look(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      if (this.#ending.signal.aborted) return
      try {
        await this.#once()
        this.#failing = false
      } catch (thrown) {
        if (!this.#failing && !this.#ending.signal.aborted)
          this.#deps.log.warn({ err: thrown }, 'the master keys of the store cannot be looked after')
        this.#failing = true
      }
      this.#next()
    })
    return this.#turn
  }

  async #once(): Promise<void> {
    const { record, source } = this.#deps
    const state = await record.read()
    this.#rotating = state.rotation !== undefined
    const own = await this.#follower.follow(state)
    // Others wait for it, and see by it that this daemon lives.
    const isBeat = this.#deps.shared && this.#beats++ % SHOW_EVERY === 0
    if (isBeat || !isSame(own, this.#own)) {
      await record.show(Object.assign({ source: source.kind }, own))
      this.#own = own
    }
    if (!this.#leads) return
    if (this.#deps.shared) await this.#holders.look()
    if (state.rotation === undefined) this.#waiting = undefined
    else await this.#advance(state.rotation)
  }

  async #advance(rotation: Rotation): Promise<void> {
    const { record, store, ring, log, storeKey } = this.#deps
    const named = this.#named
    this.#waiting = await advanceRotation(
      rotation,
      {
        holders: () => record.holders(),
        beginSealing: (begun, wrapped) => record.beginSealing(begun, wrapped),
        async sealAnew({ oldKey }, signal) {
          // Loaded on use: keys are replaced seldom.
          const { sealAnew } = await import('./seal-anew.ts')
          return sealAnew({ store, sealer: ring, log, named }, oldKey, signal)
        },
        async finish(ended) {
          if (!(await record.finish(ended))) return false
          await forgetOverwritten(store).catch((thrown: unknown) =>
            log.warn(
              { err: thrown },
              'what the old key has sealed may be in files of the database a while longer',
            ),
          )
          return true
        },
      },
      { ring, storeKey, signal: this.#ending.signal },
    )
    if (this.#waiting === undefined) this.#finished(rotation)
    const { rotation: after } = await record.read()
    if (after?.phase !== rotation.phase) await this.#once()
  }

  #finished({ oldKey, newKey }: Rotation): void {
    const { recorder, bootEpoch, clock, log } = this.#deps
    log.info({ key: newKey, retired: oldKey }, 'a master key was replaced, and nothing needs it any more')
    recorder.intent({
      type: 'intent',
      id: `${bootEpoch}-k-${newKey}`,
      atMs: clock.nowMs(),
      event: 'run retire-key',
      principal: 'system',
      principalName: 'castellan',
      target: oldKey,
      decision: 'allow',
    })
  }
}

const isSame = (a: Own, b: Own): boolean =>
  a.startsWith === b.startsWith && a.knows === b.knows && a.sealsWith === b.sealsWith

/** @throws Fault `invalid` */
function readNextKey(key: SecretValue): MasterKey {
  try {
    return readKeyText(key.reveal(), 'key')
  } catch (cause) {
    throw new Fault('invalid', {
      problems: ['key: is not what a key file holds'],
      hint: 'castellan keys new --out FILE makes one',
      cause,
    })
  }
}

const underWay = (rotation: Rotation | undefined): Fault =>
  new Fault('conflict', {
    hint:
      rotation === undefined
        ? 'the master key was replaced a moment ago; castellan keys list shows by which'
        : `master key ${rotation.newKey} takes the place of ${rotation.oldKey} at the moment; castellan keys list shows how far that is`,
  })
