import { chmod, mkdir } from 'node:fs/promises'
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** What a Server keeps: its home lasts over restarts, since package runners cache there. All 0700. */
export async function makeServerFolders(
  castellanHome: string,
  server: string,
): Promise<{ readonly home: string; readonly tmp: string }> {
  const base = join(castellanHome, 'servers', server)
  const folders = { home: join(base, 'home'), tmp: join(base, 'tmp') }
  for (const folder of [folders.home, folders.tmp]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
  }
  return folders
}

/**
 * Makes the places in a private home onto which something is mounted. The server owns that home and may have put a
 * link in the way; followed by the mount, it would lead out of the home. So a link is removed, never followed.
 */
export function makeMountPoint(home: string, point: string, kind: 'directory' | 'file'): void {
  let at = home
  const parts = relative(home, point).split(sep)
  for (const [i, part] of parts.entries()) {
    at = join(at, part)
    const wanted = i < parts.length - 1 ? 'directory' : kind
    const stat = lstatSync(at, { throwIfNoEntry: false })
    if (stat !== undefined && (wanted === 'directory' ? stat.isDirectory() : stat.isFile())) continue
    if (stat !== undefined) rmSync(at, { recursive: true })
    if (wanted === 'directory') mkdirSync(at, { mode: 0o700 })
    else writeFileSync(at, '', { mode: 0o600, flag: 'wx' })
  }
}
