import { SecretValue } from '../../lib/secret-value.ts'

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where the machine keeps its trust anchors: files that are made readable inside, since nothing speaks TLS without. */
const TRUST = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'] as const
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'] as const
const NO_PROXY = ['NO_PROXY', 'no_proxy'] as const

/** A proxy address with a password in it is a credential of the daemon, not a fact about the machine. */
const holdsCredential = (proxy: string): boolean => proxy.includes('@')

/**
 * The whole environment of a stdio server: PATH, HOME, LANG, TMPDIR, how this machine reaches the network (proxies
 * without credentials, trust anchors), then what the Server's `spec.env` says, which wins. Nothing else of the
 * daemon's environment passes.
 */
export function serverEnvironment(options: {
  readonly daemon: Environment
  readonly home: string
  readonly tmp: string
  readonly added: Readonly<Record<string, string | SecretValue>>
}): Record<string, string> {
  const { daemon, home, tmp, added } = options
  const env: Record<string, string> = {
    PATH: searchPath(daemon),
    HOME: home,
    LANG: daemon['LANG'] ?? 'C.UTF-8',
    TMPDIR: tmp,
  }
  for (const name of [...TRUST, ...NO_PROXY, ...PROXIES]) {
    const value = daemon[name]
    if (value === undefined || value === '' || (isProxy(name) && holdsCredential(value))) continue
    env[name] = value
  }
  for (const [name, value] of Object.entries(added)) {
    env[name] = value instanceof SecretValue ? value.reveal() : value
  }
  return env
}

/** NUL ends a variable for the kernel, so a value that holds one cannot be passed on. */
export const holdsNul = (added: Readonly<Record<string, string | SecretValue>>): boolean =>
  Object.entries(added).some(([name, value]) =>
    [name, value instanceof SecretValue ? value.reveal() : value].some((text) => text.includes('\0')),
  )

const isProxy = (name: string): boolean => (PROXIES as readonly string[]).includes(name)

/** The daemon's PATH: where a Server's command is looked up unless its `spec.env` names another. */
export const searchPath = (env: Environment): string => {
  const path = env['PATH']
  return path === undefined || path === '' ? DEFAULT_PATH : path
}

/** Files and folders that the variables above name; the sandbox lets them be read even below a masked home. */
export const trustFiles = (env: Environment): readonly string[] =>
  TRUST.flatMap((name) => (env[name] === undefined || env[name] === '' ? [] : [env[name]]))
