import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import type { Callers } from './callers.ts'

/**
 * What the gateway asks for the token of a grant. An edge has no grants: where one would be, it sends the credential of
 * the very caller that the request is for, and nothing at all once they are not known any more.
 */
export function createCallerGrants(
  callers: Pick<Callers, 'secret' | 'doubt'>,
  controlUrl: string,
): {
  readonly current: (grant: string, origin: string) => SecretValue | undefined
  readonly ready: (
    grant: string,
    purpose: { readonly origin: string },
  ) => Promise<Result<SecretValue, string>>
  readonly refused: (
    grant: string,
    how: { readonly status: number },
  ) => Promise<Result<void, string | undefined>>
} {
  const control = new URL(controlUrl).origin
  /** It goes to who issued it, and nowhere else. */
  const current = (grant: string, origin: string): SecretValue | undefined =>
    origin === control ? callers.secret(grant) : undefined
  return {
    current,
    ready(grant, { origin }) {
      const secret = current(grant, origin)
      return Promise.resolve(secret === undefined ? err(NOT_KNOWN) : ok(secret))
    },
    refused(grant, { status }) {
      if (status !== 401) return Promise.resolve(err(undefined))
      callers.doubt(grant)
      return Promise.resolve(err('the control plane does not take the credential of the caller any more'))
    },
  }
}

const NOT_KNOWN = 'the control plane has to be asked about the caller first; try again'
