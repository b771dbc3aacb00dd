import { lstatSync, readdirSync, readFileSync, type Dirent } from 'node:fs'
import { isWithin, kindOf, linkChain, realPath } from './paths.ts'

/** What the sandbox has to know about this machine; read once. */
export interface Host {
  /** Real path of the Castellan home: never visible to a server, whatever its manifest says. */
  readonly castellanHome: string
  /** Real paths of other folders with something of Castellan that no server may see, such as its key. */
  readonly kept: readonly string[]
  /** Where a server finds its own home: the user's home, or a folder of the private `/tmp` where that cannot be covered. */
  readonly insideHome: string
  /** Folders shown empty. */
  readonly shadows: readonly string[]
  /** Folders that are private and writable. */
  readonly scratches: readonly string[]
  /** Folders whose children are homes. */
  readonly homeParents: readonly string[]
  /** Files below a shadow that are needed for names to be resolved. */
  readonly open: readonly string[]
}

const HOME_PARENTS = ['/home', '/Users', '/mnt/c/Users']
/** Keys of the session (`/run/user`), sockets of docker, podman, containerd, dbus, databases. */
const RUNTIME_FOLDERS = ['/run', '/var/run']
const SCRATCHES = ['/tmp', '/var/tmp']
/** Folders that programs need, so that a user whose home is one of them (a service) keeps it visible. */
const SYSTEM =
  '/ /bin /dev /etc /lib /lib64 /nix /opt /proc /sbin /srv /sys /tmp /usr /var /var/lib /var/tmp'.split(' ')

export function readHost(options: {
  readonly home: string
  /** See `Host.kept`; a folder that programs need stays visible. */
  readonly kept: readonly string[]
  readonly userHome: string
  readonly runtimeFolder: string | undefined
  readonly asRoot: boolean
}): Host {
  const existing = (paths: readonly string[]): string[] =>
    [
      ...new Set(paths.map(realPath).filter((path) => path !== undefined && kindOf(path) === 'directory')),
    ] as string[]
  const homeParents = existing(HOME_PARENTS)
  const scratches = existing(SCRATCHES)
  const [castellanHome = options.home] = existing([options.home])
  const userHome = existing([options.userHome]).find((path) => !isSystem(path))
  const runtime = options.runtimeFolder === undefined ? [] : [options.runtimeFolder]
  const shadows = existing([...homeParents, '/root', ...RUNTIME_FOLDERS, ...runtime]).filter(
    (path) => !SYSTEM.includes(path),
  )
  return {
    castellanHome,
    kept: existing(options.kept).filter((path) => !isSystem(path) && path !== castellanHome),
    insideHome: userHome ?? '/tmp/home',
    shadows: options.asRoot ? [...shadows, ...rootOnly()] : shadows,
    scratches,
    homeParents,
    open: [...linkChain('/etc/resolv.conf'), '/run/current-system'],
  }
}

const isSystem = (path: string): boolean =>
  SYSTEM.includes(path) || isWithin(path, '/usr') || isWithin(path, '/proc') || isWithin(path, '/dev')

/**
 * What other users may not read below `/etc` and `/var`. A server of a daemon that runs as root is still user 0, the
 * owner: without this it could read the password hashes and the keys of the machine.
 */
function rootOnly(): readonly string[] {
  return [...unreadable('/etc', 4), ...unreadable('/var', 3)]
}

function unreadable(folder: string, levels: number): readonly string[] {
  const found: string[] = []
  for (const entry of list(folder)) {
    const path = `${folder}/${entry.name}`
    if (entry.isSymbolicLink() || entry.isSocket()) continue
    const mode = modeOf(path)
    if (mode === undefined) continue
    if (entry.isDirectory() && (mode & 0o5) === 0o5) {
      if (levels > 1) found.push(...unreadable(path, levels - 1))
    } else if ((mode & 0o4) === 0) found.push(path)
  }
  return found
}

function list(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

function modeOf(path: string): number | undefined {
  try {
    return lstatSync(path).mode
  } catch {
    return undefined
  }
}

/**
 * Every socket file that a process of this network namespace has open at the moment. Connecting to one needs no
 * writable file system, so a read-only view does not keep a server from a control socket.
 */
export function socketFiles(): readonly string[] {
  try {
    const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1)
    const paths = lines.flatMap((line) => line.split(/ +/).slice(7).join(' ') || [])
    return [...new Set(paths)].filter((path) => path.startsWith('/') && kindOf(path) === 'socket')
  } catch {
    return []
  }
}
