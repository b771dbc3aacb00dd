import { lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path'

/** Whether `path` is `dir` or lies below it. Both absolute and normalised. */
export const isWithin = (path: string, dir: string): boolean =>
  path === dir || path.startsWith(dir.endsWith(sep) ? dir : dir + sep)

export const depthOf = (path: string): number => path.split(sep).filter((part) => part !== '').length

/** The path with every symbolic link followed; undefined where nothing is. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** What a path leads to, links followed; undefined where nothing is, or nothing that we may look at. */
export function kindOf(path: string): 'directory' | 'file' | 'socket' | 'other' | undefined {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) return 'directory'
    if (stat.isSocket()) return 'socket'
    return stat.isFile() ? 'file' : 'other'
  } catch {
    return undefined
  }
}

const MAX_LINKS = 40

/**
 * Every name under which the kernel passes on the way to a file: the one that was asked for, then each link in its
 * real directory, the last one the file itself. A process that sees all of them can open the first.
 */
export function linkChain(path: string): readonly string[] {
  const chain: string[] = []
  let next = path
  for (let i = 0; i < MAX_LINKS; i++) {
    const parent = realPath(dirname(next))
    if (parent === undefined) return []
    const here = join(parent, basename(next))
    // A folder on the way is a link: a home in another place, a linked node_modules.
    if (here !== next) chain.push(next)
    const stat = lstatSync(here, { throwIfNoEntry: false })
    if (stat === undefined) return []
    chain.push(here)
    if (!stat.isSymbolicLink()) return chain
    const target = readlinkSync(here)
    next = isAbsolute(target) ? target : resolve(parent, target)
  }
  return []
}
