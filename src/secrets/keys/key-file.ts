import { randomBytes } from 'node:crypto'
import { access, constants, link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { keyRefusal, MAX_KEY_TEXT, newMasterKey, readKeyText, textOfKey, type MasterKey } from './key.ts'
import type { KeySource } from './key-source.ts'

/** @param path absolute; only its owner may read the file */
export function keyInFile(path: string): KeySource {
  return {
    kind: 'file',
    where: path,
    read: () => readKeyFile(path),
    keep: {
      make: () => makeKeyFile(path),
      unmake: () => rm(path, { force: true }),
      checkReplace: () => checkWritable(path),
      replace: (next, old) => replaceKeyFile(path, next, old),
      async forget(oldId) {
        await rm(keptAs(path, oldId), { force: true })
        await syncDirectory(dirname(path))
      },
    },
  }
}

/** The name of a key that was replaced, until nothing needs it. */
const keptAs = (path: string, id: string): string => `${path}.${id}`

async function readKeyFile(path: string): Promise<MasterKey | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw keyRefusal(`the master key cannot be read; check who owns ${path}`, error)
  })
  if (file === undefined) return undefined
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0) {
      throw keyRefusal(`others may read the master key; run: chmod 600 ${path}`)
    }
    return readKeyText(size > MAX_KEY_TEXT ? '' : await file.readFile('utf8'), path)
  } finally {
    await file.close()
  }
}

/**
 * Makes a key file where there is none. Complete and on disk before it has its name: neither a crash nor a second
 * process leaves half a key or a second one.
 *
 * @returns the key that is there, whoever has made it
 * @throws Fault `unavailable` when it cannot be written
 */
async function makeKeyFile(path: string): Promise<MasterKey> {
  try {
    await putKeyFile(path, newMasterKey(), (draft) =>
      link(draft, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      }),
    )
  } catch (error) {
    throw keyRefusal(
      `the master key cannot be written to ${path}; check that the directory is writable and not full`,
      error,
    )
  }
  const made = await readKeyFile(path)
  if (made === undefined)
    throw keyRefusal(`the master key at ${path} was removed while it was made; start again`)
  return made
}

/**
 * Writes a key that nobody uses yet, for an operator to put where it is to be used.
 *
 * @returns false: there is a file by that name, which stays as it is
 */
export async function writeNewKeyFile(path: string, master: MasterKey): Promise<boolean> {
  let isNew = true
  await putKeyFile(path, master, (draft) =>
    link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      isNew = false
    }),
  )
  return isNew
}

/** The old one has its other name before it loses this one: at no moment is one of the two on no disk. */
async function replaceKeyFile(path: string, next: MasterKey, old: MasterKey): Promise<void> {
  const there = await readKeyFile(path)
  if (there?.id === next.id) return
  await putKeyFile(keptAs(path, old.id), old, (draft) => rename(draft, keptAs(path, old.id)))
  await putKeyFile(path, next, (draft) => rename(draft, path))
}

async function checkWritable(path: string): Promise<void> {
  await access(dirname(path), constants.W_OK).catch((error: unknown) => {
    throw keyRefusal(`no file can be made beside ${path}`, error)
  })
}

async function putKeyFile(
  path: string,
  master: MasterKey,
  settle: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    await writeDurably(draft, textOfKey(master).reveal())
    await settle(draft)
    await rm(draft, { force: true })
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
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
