import { dirname, normalize, resolve } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import type { InstanceSpec } from '../runtime.ts'
import { type Host, socketFiles } from './host.ts'
import { neededPaths } from './needed-paths.ts'
import { isWithin, kindOf, linkChain, realPath } from './paths.ts'
import { createView, type View } from './view.ts'

/** What is in a folder below it can be mounted all the same. */
const KEPT = 'is where Castellan has its key, which no server may see; put the key into a folder of its own'

/** Kernel interfaces: the sandbox has its own, and the host's cannot be given away. */
const KERNEL = ['/proc', '/sys', '/dev']

/**
 * Layers that every server has, then what its manifest adds: mounts and working directory.
 *
 * @param serverHome the private home on the host, which exists
 * @returns the view and the folder to start in; or a public sentence about the field that cannot be had
 */
export function planView(
  host: Host,
  spec: Pick<InstanceSpec, 'mounts' | 'cwd'>,
  serverHome: string,
): Result<{ readonly view: View; readonly cwd: string }, string> {
  const view = createView()
  for (const path of host.scratches) view.add({ kind: 'scratch', path })
  for (const path of host.shadows) {
    view.add({ kind: 'shadow', path, of: kindOf(path) === 'directory' ? 'directory' : 'file' })
  }
  view.add({ kind: 'home', path: host.insideHome, source: serverHome })
  for (const [i, mount] of spec.mounts.entries()) {
    const problem = addMount(view, host, mount)
    if (problem !== undefined) return err(`spec.mounts[${i}].path ${problem}`)
  }
  const cwd = addCwd(view, host, spec.cwd)
  if (!cwd.ok) return err(`spec.cwd ${cwd.error}`)
  for (const path of host.open) openForReading(view, path)
  for (const path of socketFiles()) {
    if (view.over(path) === undefined) view.add({ kind: 'shadow', path, of: 'file' })
  }
  for (const path of [host.castellanHome, ...host.kept])
    if (view.shows(path)) view.add({ kind: 'shadow', path, of: 'directory' })
  return ok({ view, cwd: cwd.value })
}

function addMount(view: View, host: Host, mount: InstanceSpec['mounts'][number]): string | undefined {
  const path = realPath(mount.path)
  if (path === undefined) return 'does not exist on this machine; make it, or take the mount out'
  if (isWithin(path, host.castellanHome)) return 'lies in the home of Castellan, which no server may see'
  if (host.kept.includes(path)) return KEPT
  if (path === '/' || KERNEL.some((dir) => isWithin(path, dir))) {
    return 'may not be the root folder, nor lie in /proc, /sys or /dev'
  }
  const write = mount.access === 'write'
  view.add({ kind: 'host', path, source: path, write })
  const named = normalize(mount.path)
  const alias = realPath(dirname(named)) === undefined ? path : resolve(named)
  // A link that a shadow hides leads nowhere inside, so what it leads to is mounted under its name as well.
  if (alias !== path && !view.shows(alias)) view.add({ kind: 'host', path: alias, source: path, write })
  return undefined
}

/** The user's home, or a folder that holds it, is entered but not opened: inside, it is the server's private home. */
function addCwd(view: View, host: Host, cwd: string | undefined): Result<string, string> {
  if (cwd === undefined) return ok(host.insideHome)
  const path = realPath(cwd)
  if (path === undefined) return err('does not exist; make it, or take it out to use the server’s own home')
  if (kindOf(path) !== 'directory') return err('is not a directory')
  if (isWithin(path, host.castellanHome)) return err('lies in the home of Castellan, which no server may see')
  if (host.kept.includes(path)) return err(KEPT)
  const opened = !isWithin(host.insideHome, path) && !KERNEL.some((dir) => isWithin(path, dir))
  if (opened) view.add({ kind: 'host', path, source: path, write: true })
  return ok(path)
}

function openForReading(view: View, path: string): void {
  const source = realPath(path)
  if (source !== undefined && !view.shows(path)) view.add({ kind: 'host', path, source, write: false })
}

/** Opens what a hidden program and its interpreters need to start, and the trust anchors that its environment names. */
export function openProgram(
  view: View,
  host: Host,
  program: string,
  search: { readonly path: string; readonly cwd: string; readonly trust: readonly string[] },
): Result<void, string> {
  const needed = neededPaths(program, search, (path) => hiddenHome(view, host, path))
  if ([...linkChain(program), ...needed].some((path) => isWithin(path, host.castellanHome))) {
    return err('spec.command lies in the home of Castellan, which no server may see')
  }
  if (needed.some((path) => host.kept.includes(path))) return err(`spec.command ${KEPT}`)
  for (const path of needed) openForReading(view, path)
  for (const path of search.trust.flatMap(linkChain)) {
    if (!isWithin(path, host.castellanHome)) openForReading(view, path)
  }
  return ok(undefined)
}

function hiddenHome(view: View, host: Host, path: string): string | undefined {
  if (view.shows(path)) return undefined
  const over = view.over(path)
  if (over === undefined || over.kind === 'host') return undefined
  if (!host.homeParents.includes(over.path)) return over.path
  const [name = ''] = path.slice(over.path.length + 1).split('/')
  return `${over.path}/${name}`
}
