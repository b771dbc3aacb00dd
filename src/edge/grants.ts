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
  readonly current: (grant: Named, origin: string) => SecretValue | undefined
  readonly ready: (
    grant: Named,
    purpose: { readonly origin: string },
  ) => Promise<Result<SecretValue, Problem>>
  readonly refused: (
    grant: Named,
    how: { readonly status: number },
  ) => Promise<Result<void, Problem | undefined>>
} {
  const control = new URL(controlUrl).origin
  /** It goes to who issued it, and nowhere else. */
  const current = ({ name }: Named, origin: string): SecretValue | undefined =>
    origin === control ? callers.secret(name) : undefined
  return {
    current,
    ready(grant, { origin }) {
      const secret = current(grant, origin)
      return Promise.resolve(secret === undefined ? err(NOT_KNOWN) : ok(secret))
    },
    refused({ name }, { status }) {
      if (status !== 401) return Promise.resolve(err(undefined))
      callers.doubt(name)
      return Promise.resolve(err(NOT_TAKEN))
    },
  }
}

interface Named {
  readonly name: string
}

interface Problem {
  readonly message: string
  /** Nobody mends anything by connecting an account at an edge. */
  readonly connect: false
}

const NOT_KNOWN: Problem = {
  message: 'the control plane has to be asked about the caller first; try again',
  connect: false,
}
const NOT_TAKEN: Problem = {
  message: 'the control plane does not take the credential of the caller any more',
  connect: false,
}
