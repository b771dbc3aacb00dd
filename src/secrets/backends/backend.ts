import type { Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'

/**
 * A place that keeps secret values. A further one (a Vault, a cloud's secret manager) is a folder beside this file that
 * implements this, and a line in `registry.ts`; `test/contract/secret-backends.test.ts` says what each has to do.
 */
export interface SecretBackend {
  /** As `spec.backend` of a Secret has it. */
  readonly name: string
  /** Whether Castellan keeps values there itself. False: others put them there, and a Secret refers to them. */
  readonly writable: boolean
  /** How many reads it is sent at the same time. */
  readonly parallel: number
  /** For people: what it reads, in one line, without anything secret. */
  describe(): string
  /** Whether a reference can be one of its, without looking: undefined, or a sentence that does not repeat it. */
  check(reference: string): string | undefined
  /**
   * Reads one value. Never throws; what it says holds neither a value nor a name that the reference does not have.
   *
   * @param reference any text, also one that `check` refuses
   * @param signal nobody waits for the answer any more
   */
  read(reference: string, signal?: AbortSignal): Promise<Reading>
  /** Whether it can be asked at all. Looked at before it is asked for all that it has. */
  health(signal?: AbortSignal): Promise<Result<void, string>>
  /** Tells when a value may have changed, as well as it can: it is asked from time to time anyway. */
  watch?(reference: string, changed: () => void): { close(): void }
  /** After this nothing of it holds the process. */
  close(): void
}

export type Reading = Result<SecretValue, Unread>

/** Why there is no value. Only one who could not answer leaves open what he would have said. */
export interface Unread {
  /** `absent`: there is none by that reference. `unusable`: what is there is no value. `away`: it could not be asked. */
  readonly kind: 'absent' | 'unusable' | 'away'
  /** Public. */
  readonly message: string
}

/** Bytes of one value, as in `spec.data`. */
export const MAX_VALUE_BYTES = 65_536

export const unread = (kind: Unread['kind'], message: string): { ok: false; error: Unread } => ({
  ok: false,
  error: { kind, message },
})
