import type { Result } from '../lib/result.ts'
import type { TokenFailure } from '../oauth/client/token-answer.ts'
import type { GrantKey } from './grant.ts'

/** What the daemon does with a grant without being asked for that very thing. */
export interface Doing extends GrantKey {
  readonly doing: 'exchange' | 'refresh' | 'register' | 'revoke'
  readonly server: string | undefined
}

/** Does it with its record, which is durable before anything is sent; what cannot be recorded fails undone. */
export type Recorded = <T>(
  what: Doing,
  work: () => Promise<Result<T, TokenFailure>>,
) => Promise<Result<T, TokenFailure>>
