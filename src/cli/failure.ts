import { faultCodes, type FaultCode } from '../lib/fault.ts'

export interface FailureBody {
  readonly code: FaultCode
  readonly message: string
  readonly hint?: string | undefined
  readonly problems?: readonly string[]
}

/** Why a command did not do what was asked: found here, or told by the daemon. Printed by `toExit`. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure'
  readonly body: FailureBody

  constructor(body: FailureBody, cause?: unknown) {
    super(body.message, { cause })
    this.body = body
  }
}

/** Wrong input: exit status 2. */
export const usage = (message: string, hint: string): CliFailure =>
  new CliFailure({ code: 'invalid', message, hint })

/** Something outside is not as it must be: exit status 1. */
export const unavailable = (message: string, hint: string, cause?: unknown): CliFailure =>
  new CliFailure({ code: 'unavailable', message, hint }, cause)

/** A code that this version does not know (a newer daemon's) counts as `unavailable`: the request failed. */
export const knownCode = (code: unknown): FaultCode =>
  faultCodes().find((known) => known === code) ?? 'unavailable'
