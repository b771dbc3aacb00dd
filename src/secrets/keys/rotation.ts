import type { Log } from '../../lib/log.ts'
import { addOther } from '../agree-on-key.ts'
import type { MasterKey } from './key.ts'
import type { KeyHolder, KeyState, Rotation } from './key-record.ts'
import type { KeySource } from './key-source.ts'
import type { Keyring } from './keyring.ts'
import { wrapStoreKey, type StoreKey } from './wrap.ts'

/** What the steps of a rotation do to the store: each is one transaction, and harmless when it is done twice. */
export interface RotationRecord {
  /** The other daemons and this one, as far as they live. */
  holders(): Promise<readonly KeyHolder[]>
  /** The new key is the one in use from here on. */
  beginSealing(rotation: Rotation, storeKey: string): Promise<void>
  /** Seals anew what the old key has sealed. @returns how many values do not open, and stay as they are */
  sealAnew(rotation: Rotation, signal: AbortSignal): Promise<number>
  /** Retires the old key. False: something is sealed with it. */
  finish(rotation: Rotation): Promise<boolean>
}

/** Why a rotation does not go on by itself. */
export interface Waiting {
  /** Values that do not open with the key that has sealed them. */
  readonly shut: number
  /** Daemons that start with the old key the next time: nobody but their operator can give them the new one. */
  readonly daemons: readonly KeyHolder[]
}

/** Nothing is the matter. */
const GOES_ON: Waiting = { shut: 0, daemons: [] }

/**
 * Takes a rotation as far as it can go: the new key is used when every daemon knows it, and the old one retired when
 * nothing is sealed with it and every daemon starts without it. Any daemon can do it, and any other can go on with it.
 *
 * @returns what it waits for, for people; undefined: it is finished
 */
export async function advanceRotation(
  rotation: Rotation,
  record: RotationRecord,
  given: { readonly ring: Keyring; readonly storeKey: StoreKey; readonly signal: AbortSignal },
): Promise<Waiting | undefined> {
  const { newKey } = rotation
  const master = given.ring.get(newKey)
  if (master === undefined) return GOES_ON
  const holders = await record.holders()
  if (rotation.phase === 'announced') {
    if (holders.every(({ knows }) => knows === newKey))
      await record.beginSealing(rotation, wrapStoreKey(master, given.storeKey))
    return GOES_ON
  }
  // Who still seals with the old key would do so behind our back.
  if (!holders.every(({ sealsWith }) => sealsWith === newKey)) return GOES_ON
  const shut = await record.sealAnew(rotation, given.signal)
  const daemons = (await record.holders()).filter(({ startsWith }) => startsWith !== newKey)
  if (shut > 0 || daemons.length > 0) return { shut, daemons }
  return (await record.finish(rotation)) ? undefined : GOES_ON
}

/** How far this daemon is. */
export type Own = Pick<KeyHolder, 'startsWith' | 'knows' | 'sealsWith'>

export interface FollowDeps {
  readonly ring: Keyring
  readonly source: KeySource
  readonly log: Log
  /** Monotonic, ms. */
  readonly tickMs: () => number
}

/** Brings one daemon along with what the store says of its keys. */
export interface KeyFollower {
  /** @returns how far it is now */
  follow(state: KeyState): Promise<Own>
}

/** A source that could not be given the key, or does not have it yet, is asked again this much later. */
const SOURCE_AGAIN_MS = 30_000

export function createKeyFollower(
  { ring, source, log, tickMs }: FollowDeps,
  startedWith: string,
): KeyFollower {
  let startsWith = startedWith
  let askAgainMs = -Infinity
  let forgotten: string | undefined
  let lost = false

  /** Puts the key where this daemon starts from, or looks whether its operator has done so. */
  async function bringToSource(next: MasterKey, old: MasterKey): Promise<void> {
    if (startsWith === next.id || tickMs() < askAgainMs) return
    askAgainMs = tickMs() + SOURCE_AGAIN_MS
    try {
      await source.keep?.replace(next, old)
      startsWith = (await source.read())?.id ?? ''
    } catch (thrown) {
      log.warn({ err: thrown, key: next.id }, 'the new master key is not where this daemon starts from')
    }
  }

  async function follow(state: KeyState): Promise<Own> {
    const { rotation, inUse } = state
    if (rotation !== undefined) {
      for (const id of [rotation.oldKey, rotation.newKey]) {
        const own = ring.get(id)
        if (own !== undefined) addOther(ring, own, rotation)
      }
    }
    if (inUse !== undefined && inUse.keyId !== ring.keyId) move(inUse.keyId)
    if (rotation !== undefined) {
      const [old, next] = [ring.get(rotation.oldKey), ring.get(rotation.newKey)]
      if (old !== undefined && next !== undefined) await bringToSource(next, old)
    }
    if (rotation === undefined) await forgetRetired(state)
    const knows =
      rotation !== undefined && ring.get(rotation.newKey) !== undefined ? rotation.newKey : ring.keyId
    return { startsWith, knows, sealsWith: ring.keyId }
  }

  function move(id: string): void {
    if (ring.get(id) !== undefined) {
      ring.use(id)
      log.info({ key: id }, 'values are sealed with another master key from here on')
    } else if (!lost) {
      lost = true
      log.error(
        { key: id },
        'the master key was replaced while this daemon could not be told; start it again with the new key',
      )
    }
  }

  /** The key that was retired last: what came before it went when that was. */
  async function forgetRetired({ retired: [last] }: KeyState): Promise<void> {
    if (last === undefined || last.keepOld || last.keyId === forgotten || source.keep === undefined) return
    if (startsWith !== ring.keyId) return
    forgotten = last.keyId
    await source.keep
      .forget(last.keyId)
      .catch((thrown: unknown) =>
        log.warn({ err: thrown, key: last.keyId }, 'a master key that was replaced cannot be removed'),
      )
  }

  return { follow }
}
