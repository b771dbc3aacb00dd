import type { TokenFailure } from '../oauth/client/token-answer.ts'
import type { Grant } from './grant.ts'
import type { Keeper } from './keeper.ts'
import { dropRegistration } from './registrations.ts'

/**
 * A client that was registered here and that its authorization server no longer knows (RFC 6749, 5.2: `invalid_client`)
 * is forgotten: the next login registers another. One that the user gave stays, since only they can mend it.
 */
export async function forgetUnknownClient(
  keeper: Pick<Keeper, 'update' | 'reload' | 'remove'>,
  grant: Grant,
  issuer: string,
  { code }: Pick<TokenFailure, 'code'>,
): Promise<void> {
  if (code !== 'invalid_client') return
  const used = grant.oauth?.clients[issuer]
  if (used?.from === 'registration') await dropRegistration(keeper, issuer, used)
  await keeper.update(grant, (stored) => {
    if (stored?.oauth === undefined || stored.uid !== grant.uid) return undefined
    const { [issuer]: unknown, ...clients } = stored.oauth.clients
    return unknown?.from === 'registration' ? { ...stored, oauth: { ...stored.oauth, clients } } : undefined
  })
}
