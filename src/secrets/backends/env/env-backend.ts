import { ok } from '../../../lib/result.ts'
import { unread, type Reading, type SecretBackend } from '../backend.ts'

/** How the variables begin that Secrets may refer to, unless the operator says otherwise. */
export const ENV_PREFIX = 'CASTELLAN_SECRET_'

const PARALLEL = 64
const NOT_SET = 'the daemon was started without that variable; set it, and start the daemon again'

export interface EnvOptions {
  readonly prefix: string
  /** By name, as `takeVariables` has them. They cannot change while the process runs. */
  readonly variables: ReadonlyMap<string, Reading>
}

/**
 * Values from the environment that the daemon was started with. A reference is the whole name of a variable; one
 * without the prefix does not exist here, whoever asks, so that a right to make Secrets does not read the rest.
 */
export function createEnvBackend({ prefix, variables }: EnvOptions): SecretBackend {
  const check = (reference: string): string | undefined =>
    reference.startsWith(prefix) &&
    /^[A-Za-z0-9_]{1,256}$/.test(reference) &&
    reference.length > prefix.length
      ? undefined
      : `must be the name of a variable that begins with ${prefix}`
  return {
    name: 'env',
    writable: false,
    parallel: PARALLEL,
    describe: () => `variables of the daemon's environment that begin with ${prefix}`,
    check,
    read(reference) {
      const problem = check(reference)
      if (problem !== undefined) return Promise.resolve(unread('absent', `the reference ${problem}`))
      return Promise.resolve(variables.get(reference) ?? unread('absent', NOT_SET))
    },
    health: () => Promise.resolve(ok(undefined)),
    close() {},
  }
}
