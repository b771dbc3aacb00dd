import type { CliContext } from '../context.ts'
import type { SecretValue } from '../../lib/secret-value.ts'

/** One value that a grant is made of, as the daemon describes it. */
export interface ProviderField {
  readonly name: string
  /** What a person is asked. */
  readonly prompt: string
  readonly secret: boolean
  readonly optional: boolean
}

/** One place on the machine of the user where a grant may be, as the daemon describes it. */
export type ProviderSource =
  | { readonly kind: 'env'; readonly names: readonly string[]; readonly field: string }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly field: string }
  /** What it reads may be there in part. */
  | { readonly kind: 'reader'; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: 'prompt'; readonly field: string }

/** An item of `GET /api/v1/grants/providers`. */
export interface Provider {
  readonly id: string
  readonly aliases: readonly string[]
  readonly title: string
  readonly description: string
  /** What stands behind the colon of a grant: `host` of `npm:HOST`. */
  readonly qualifier: { readonly name: string; readonly example: string; readonly default?: string } | null
  readonly fields: readonly ProviderField[]
  /** Of these fields exactly one is given. */
  readonly oneOf: readonly string[]
  /** In the order in which they are looked at. */
  readonly sources: readonly ProviderSource[]
  readonly origins: readonly string[]
  /** Nothing but a run can use it. */
  readonly runsOnly: boolean
}

/** The values of a grant by the name of their field. */
export type Values = ReadonlyMap<string, SecretValue>

/** What a source had. `says` is for the user: where it was, or why there is nothing; never a value. */
export type SourceAnswer =
  | {
      readonly found: true
      readonly values: Values
      readonly says: string
      /** RFC 3339, UTC. */
      readonly expiresAt?: string | undefined
      /** The host that it is for, where the user named none. */
      readonly qualifier?: string | undefined
      /** What the user should know of it besides. */
      readonly note?: string | undefined
    }
  | { readonly found: false; readonly says: string }

/** What a reader is asked. */
export interface ReaderRequest {
  readonly context: CliContext
  readonly qualifier: string | undefined
  /** Values that the user gave by options, by field: a fingerprint, a profile. */
  readonly given: ReadonlyMap<string, string>
}

export type Reader = (request: ReaderRequest) => SourceAnswer | Promise<SourceAnswer>
