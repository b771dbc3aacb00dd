import type { SecretValue } from '../lib/secret-value.ts'

/** A secret of a grant: sealed in memory as it is in the store, and opened for each use. */
export interface HeldSecret {
  /** @throws Fault `unavailable` when it does not open: another master key, or put in the place of another */
  open(): SecretValue
}

/** One that was issued a moment ago and is not kept yet. */
export const justIssued = (value: SecretValue): HeldSecret => ({ open: () => value })
