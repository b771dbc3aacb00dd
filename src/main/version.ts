import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildInfo } from '../cli/context.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What runs here: `dist/build.json` says it of a package, `.git` of a checkout. */
export function buildInfo(root: string = ROOT): BuildInfo {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const built = join(root, 'dist/build.json')
  const node = process.versions.node
  if (import.meta.url.endsWith('.ts') || !existsSync(built))
    return { version, commit: headCommit(root), node }
  const { commit, buildDate } = JSON.parse(readFileSync(built, 'utf8')) as Partial<BuildInfo>
  return { version, commit, buildDate, node }
}

/** Reads Git's files, since git itself may not be installed; `.git` is a file in a linked work tree. */
function headCommit(root: string): string | undefined {
  const dot = readText(join(root, '.git'))
  const pointed = dot === undefined ? undefined : /^gitdir: (.+)$/m.exec(dot)?.[1]
  const folder =
    pointed === undefined ? join(root, '.git') : join(pointed.startsWith('/') ? '' : root, pointed)
  const head = readText(join(folder, 'HEAD'))?.trim()
  const ref = head === undefined ? undefined : /^ref: (.+)$/.exec(head)?.[1]
  if (ref === undefined) return head?.slice(0, 12)
  const common = readText(join(folder, 'commondir'))?.trim()
  const shared = common === undefined ? folder : join(folder, common)
  const loose = readText(join(shared, ref))?.trim()
  return (loose ?? packed(join(shared, 'packed-refs'), ref))?.slice(0, 12)
}

const packed = (path: string, ref: string): string | undefined =>
  readText(path)
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`))
    ?.split(' ')[0]

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Absent, or a directory: either way it says nothing.
    return undefined
  }
}
