import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Fault } from '../lib/fault.ts'
import type { SecretValue } from '../lib/secret-value.ts'

/** The key that everything sealed in the store depends on. */
export interface MasterKey {
  /** `mk_` and 16 hex digits, derived from the key: a damaged key is noticed, and no two keys share one. */
  readonly id: string
  readonly key: KeyObject
}

export interface MasterKeyOptions {
  readonly home: string
  /** Instead of `<home>/master.key`. */
  readonly keyFile?: string | undefined
  /** The content of a key file instead of a file: what the environment gave. */
  readonly given?: SecretValue | undefined
  /** Ids of the keys that the store is used with: with any there, no key is made. */
  readonly usedWith: readonly string[]
}

export interface LoadedKey {
  readonly master: MasterKey
  /** The file that was made just now, undefined where the key was there. */
  readonly madeAt: string | undefined
}

const FORMAT = /^castellan-master-key-1 (mk_[0-9a-f]{16}) ([A-Za-z0-9_-]{43})\n?$/
const MAX_FILE_BYTES = 1024
/** Where a key that is in no file came from. */
const GIVEN = 'CASTELLAN_MASTER_KEY'

/**
 * Loads the master key, or makes one for a store that is used with none yet: a second key beside the one that is
 * missing would hide the loss until the first value is needed.
 * @throws Fault `unavailable` when the key is missing, damaged, readable by others, or another than the store is used with
 */
export async function loadMasterKey(options: MasterKeyOptions): Promise<LoadedKey> {
  const { given, usedWith } = options
  const path = options.keyFile ?? join(options.home, 'master.key')
  const found = given === undefined ? await readKeyFile(path) : parse(given.reveal(), GIVEN)
  if (found === undefined && usedWith.length > 0) {
    const used = usedWith.join(', ')
    throw refusal(
      `the store is used with master key ${used}; put its file at ${path}, or name the file with --key-file`,
    )
  }
  const master = found ?? (await makeKeyFile(path))
  if (usedWith.some((other) => other !== master.id))
    throw otherKey(usedWith.join(', '), master.id, given === undefined ? path : GIVEN)
  return { master, madeAt: found === undefined ? path : undefined }
}

/** The refusal of a key that is not the one the store is used with. */
export const otherKey = (used: string, held: string, where: string): Fault =>
  refusal(
    `the store is used with master key ${used}, and ${where} holds ${held}; every daemon of a store needs the same key: start with the file of that one, named by --key-file`,
  )

async function readKeyFile(path: string): Promise<MasterKey | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw refusal(`the master key cannot be read; check who owns ${path}`, error)
  })
  if (file === undefined) return undefined
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0) {
      throw refusal(`others may read the master key; run: chmod 600 ${path}`)
    }
    return parse(size > MAX_FILE_BYTES ? '' : await file.readFile('utf8'), path)
  } finally {
    await file.close()
  }
}

/** @param path for the message: never the text */
function parse(text: string, path: string): MasterKey {
  const [, id, encoded] = FORMAT.exec(text) ?? []
  if (id === undefined || encoded === undefined || toMasterKey(Buffer.from(encoded, 'base64url')).id !== id) {
    throw refusal(`${path} does not hold a master key, or it is damaged; restore it from a backup`)
  }
  return toMasterKey(Buffer.from(encoded, 'base64url'))
}

/** Complete and on disk before it has its name: neither a crash nor a second process leaves half a key or a second one. */
async function makeKeyFile(path: string): Promise<MasterKey> {
  const bytes = randomBytes(32)
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    await writeDurably(
      draft,
      `castellan-master-key-1 ${toMasterKey(bytes).id} ${bytes.toString('base64url')}\n`,
    )
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await rm(draft)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw refusal(
      `the master key cannot be written to ${path}; check that the directory is writable and not full`,
      error,
    )
  }
  const made = await readKeyFile(path)
  if (made === undefined)
    throw refusal(`the master key at ${path} was removed while it was made; start again`)
  return made
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function toMasterKey(bytes: Buffer): MasterKey {
  const digest = createHmac('sha256', bytes).update('castellan/v1/key-id').digest('hex')
  return { id: `mk_${digest.slice(0, 16)}`, key: createSecretKey(bytes) }
}

const refusal = (hint: string, cause?: unknown): Fault => new Fault('unavailable', { hint, cause })
