import type { GrantProblem } from '../../inject/grants.ts'
import type { UpstreamFailure } from '../upstream.ts'

/** A request that was not sent, or not taken, for want of a grant. Never leaves the connection: it becomes its failure. */
export class GrantRefused extends Error {
  override readonly name = 'GrantRefused'
  readonly failure: UpstreamFailure

  constructor({ message, connect }: GrantProblem, status: number | undefined) {
    super('a grant is not usable')
    this.failure = { kind: 'refused', message, status, ...(connect ? { connect: true as const } : {}) }
  }
}
