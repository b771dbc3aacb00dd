import { delimiter, parse, resolve, sep } from 'node:path'
import type { CliContext } from '../cli/context.ts'
import { usage } from '../cli/failure.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Reading } from '../secrets/backends/backend.ts'
import { ENV_PREFIX } from '../secrets/backends/env/env-backend.ts'
import { followReferences, type References } from '../secrets/backends/follow-references.ts'
import { openBackends, type SecretBackends } from '../secrets/backends/registry.ts'
import type { Sealer } from '../secrets/sealing.ts'
import { listSealed } from '../store/sealed.ts'
import type { Store } from '../store/store.ts'

/** Where a daemon may read values that Secrets refer to. */
export interface SecretSourceOptions {
  /** Absolute paths; none: no file is read. */
  readonly directories: readonly string[]
  /** How the variables begin that may be read. */
  readonly envPrefix: string
}

export const NO_DIRECTORIES: SecretSourceOptions = { directories: [], envPrefix: ENV_PREFIX }

interface Given {
  readonly directories: readonly string[]
  readonly envPrefix: string | undefined
  /** Absolute path of the daemon's home. */
  readonly home: string
}

/**
 * @throws CliFailure `invalid` for directories and a prefix that would open more to Secrets than somebody can mean
 */
export function readSecretSources(
  { directories, envPrefix, home }: Given,
  { env, cwd }: Pick<CliContext, 'env' | 'cwd'>,
): SecretSourceOptions {
  const named = directories.length > 0 ? directories : (env['CASTELLAN_SECRET_DIRS'] ?? '').split(delimiter)
  const variable = env['CASTELLAN_SECRET_ENV_PREFIX']
  const given = envPrefix ?? (variable === '' ? undefined : variable)
  return {
    directories: named.filter((path) => path !== '').map((path) => checkDirectory(resolve(cwd, path), home)),
    envPrefix: given === undefined ? ENV_PREFIX : checkPrefix(given),
  }
}

function checkDirectory(path: string, home: string): string {
  if (path === parse(path).root)
    throw usage(
      'a directory of secrets is the root of the file system',
      'name the directory that the secrets are in: --secret-dir /run/secrets',
    )
  if (path === home || path.startsWith(home + sep))
    throw usage(
      'a directory of secrets is in the home of the daemon, which keeps its own there',
      'keep them somewhere else: --secret-dir /run/secrets',
    )
  return path
}

function checkPrefix(prefix: string): string {
  const isOurs = prefix.startsWith('CASTELLAN_') && !prefix.startsWith(ENV_PREFIX)
  if (/^[A-Za-z][A-Za-z0-9_]{1,63}_$/.test(prefix) && !isOurs) return prefix
  throw usage(
    'the prefix of secret variables is not 3 to 65 letters, digits and "_", with "_" at the end',
    `write: --secret-env-prefix ${ENV_PREFIX}, or one of your own`,
  )
}

export interface SecretSourceDeps {
  readonly options: SecretSourceOptions
  /** Taken out of the environment. */
  readonly variables: ReadonlyMap<string, Reading>
  /** Paths that are the daemon's own. */
  readonly never: readonly string[]
  readonly store: Pick<Store, 'control'>
  readonly sealer: Pick<Sealer, 'open'>
  readonly clock: Clock
  readonly log: Log
}

export interface SecretSources {
  readonly backends: SecretBackends
  readonly references: References
  readonly close: () => void
}

export function openSecretSources(deps: SecretSourceDeps): SecretSources {
  const { options, variables, never, store, sealer, clock, log } = deps
  const backends = openBackends({
    encrypted: {
      sealer,
      find: async (uid, field) =>
        (await listSealed(store.control, uid)).find((sealed) => sealed.field === field),
    },
    env: { prefix: options.envPrefix, variables },
    file: { directories: options.directories, never },
  })
  const references = followReferences({ find: backends.find, clock, log })
  return {
    backends,
    references,
    close() {
      references.close()
      backends.close()
    },
  }
}
