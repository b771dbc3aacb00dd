import { hash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../lib/fault.ts'

export interface LocalAdminCredential {
  /** SHA-256 of the credential: all that stays in memory. */
  readonly digest: Uint8Array
  /** The 0600 file that the command line on this host reads. */
  readonly path: string
}

/**
 * Makes or loads `<home>/admin-credential`: whoever may read the daemon's home may administer it, and nobody else.
 *
 * @throws Fault `unavailable` when the file cannot be made or read, can be read by others, or does not hold a credential
 */
export async function openLocalAdmin(home: string): Promise<LocalAdminCredential> {
  const path = join(home, 'admin-credential')
  const text = (await load(path)) ?? (await create(path))
  if (!/^csa_[A-Za-z0-9_-]{43}$/.test(text)) {
    throw new Fault('unavailable', {
      hint: 'the file admin-credential in the home is damaged; remove it and start again: a new one is made',
      detail: { path },
    })
  }
  return { digest: hash('sha256', text, 'buffer'), path }
}

async function load(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    // Windows has no such bits: there the access rights of the home decide.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new Fault('unavailable', {
        hint: 'others may read the admin credential; run: chmod 600 admin-credential (in the home), and change it if they did',
        detail: { path },
      })
    }
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (error instanceof Fault) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unusable(path, error)
  }
}

/** Written aside and linked into place, so that nobody ever reads half of it and two starts cannot make two. */
async function create(path: string): Promise<string> {
  const text = `csa_${randomBytes(32).toString('base64url')}`
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    const file = await open(aside, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600)
    try {
      await file.writeFile(`${text}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(aside, path)
    return text
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return (await load(path)) ?? ''
    throw unusable(path, error)
  } finally {
    await unlink(aside).catch(() => undefined)
  }
}

const unusable = (path: string, cause: unknown): Fault =>
  new Fault('unavailable', {
    hint: 'the home must be a folder that the daemon may write to, on a disk that is not full',
    detail: { path },
    cause,
  })
