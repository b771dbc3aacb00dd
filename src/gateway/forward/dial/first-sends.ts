import type { SecretValue } from '../../../lib/secret-value.ts'
import type { GrantProblem, Injection } from '../../inject/grants.ts'
import type { InjectionRecord } from '../../record/injections.ts'

/** Which credentials one connection has carried: each is on the record before it leaves for the first time. */
export class FirstSends {
  readonly #what: Injection
  readonly #record: InjectionRecord
  #sent: SecretValue | undefined
  #saying: { readonly of: SecretValue; readonly done: Promise<boolean> } | undefined
  #withheld: string | undefined

  constructor(what: Injection, record: InjectionRecord) {
    this.#what = what
    this.#record = record
  }

  /** Whether it is on the record; asked for every request. */
  has(credential: SecretValue): boolean {
    if (credential === this.#sent) return true
    if (this.#sent?.equals(credential) !== true) return false
    // The same, opened anew.
    this.#sent = credential
    return true
  }

  /** Once for all that wait. @returns false: the record cannot be written */
  async say(credential: SecretValue): Promise<boolean> {
    if (this.has(credential)) return true
    if (this.#saying?.of.equals(credential) !== true)
      this.#saying = { of: credential, done: this.#record.sent(this.#what) }
    const saying = this.#saying
    const done = await saying.done
    if (done) this.#sent = credential
    if (this.#saying === saying) this.#saying = undefined
    return done
  }

  /** Nothing was sent, which is no matter of somebody who has not connected an account. Each reason once. */
  withheld({ message, connect }: GrantProblem): void {
    if (connect || message === this.#withheld) return
    this.#withheld = message
    this.#record.withheld(this.#what, message)
  }
}
