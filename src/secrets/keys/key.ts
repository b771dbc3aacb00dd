import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { Fault } from '../../lib/fault.ts'
import { SecretValue } from '../../lib/secret-value.ts'

/** The key that everything sealed in the store depends on. */
export interface MasterKey {
  /** `mk_` and 16 hex digits, derived from the key: a damaged key is noticed, and no two keys share one. */
  readonly id: string
  readonly key: KeyObject
}

const FORMAT = /^castellan-master-key-1 (mk_[0-9a-f]{16}) ([A-Za-z0-9_-]{43})\n?$/
/** No text that holds a key is longer. */
export const MAX_KEY_TEXT = 1024

export const newMasterKey = (): MasterKey => masterKeyOf(randomBytes(32))

/** @param bytes 32 of them */
export function masterKeyOf(bytes: Buffer): MasterKey {
  const digest = createHmac('sha256', bytes).update('castellan/v1/key-id').digest('hex')
  return { id: `mk_${digest.slice(0, 16)}`, key: createSecretKey(bytes) }
}

/** What a key file holds: one line. */
export const textOfKey = ({ id, key }: MasterKey): SecretValue =>
  new SecretValue(`castellan-master-key-1 ${id} ${key.export().toString('base64url')}\n`)

/**
 * Reads what a key file holds.
 *
 * @param where what to call the place in a refusal, which never quotes the text
 * @throws Fault `unavailable` when there is no key in it, or a damaged one
 */
export function readKeyText(text: string, where: string): MasterKey {
  const [, id, encoded] = FORMAT.exec(text) ?? []
  const master = encoded === undefined ? undefined : masterKeyOf(Buffer.from(encoded, 'base64url'))
  if (master === undefined || master.id !== id)
    throw keyRefusal(`${where} does not hold a master key, or it is damaged; restore it from a backup`)
  return master
}

export const keyRefusal = (hint: string, cause?: unknown): Fault => new Fault('unavailable', { hint, cause })

/** The refusal of a key that is not the one the store is used with. */
export const otherKey = (used: string, held: string, where: string): Fault =>
  keyRefusal(
    `the store is used with master key ${used}, and ${where} holds ${held}; every daemon of a store needs the same key: start with the file of that one, named by --key-file`,
  )
