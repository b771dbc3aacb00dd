import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import { keyOf, type Stored } from '../../control/stored.ts'
import type { IdentityProviderSpec } from '../../kinds/identity-provider.ts'
import { Fault } from '../../lib/fault.ts'
import type { SignInProvider } from '../../oauth/client/sign-in.ts'
import { wantedClaims } from './identity.ts'

/* Identity providers, as the snapshot has them. */

export const providerNamed = ({ state }: Pick<SnapshotSource, 'state'>, name: string): Stored | undefined =>
  state().resources.get('IdentityProvider')?.get(keyOf('', name))

/** @throws Fault `unavailable` when the Secret that it names is gone */
export function providerOf(
  snapshot: Pick<SnapshotSource, 'secretValue'>,
  { resource }: Stored,
): SignInProvider {
  const spec = resource.spec as IdentityProviderSpec
  const { issuer, clientId, clientSecret, scopes, keepTokens } = spec
  const secret =
    clientSecret === undefined
      ? undefined
      : snapshot.secretValue(clientSecret.secretRef.name, clientSecret.secretRef.key)
  if (clientSecret !== undefined && secret === undefined)
    throw new Fault('unavailable', {
      hint: 'the Secret with the client secret of the identity provider is gone',
    })
  const wanted = wantedClaims(spec)
  return { issuer, clientId, clientSecret: secret, scopes, wanted, offline: keepTokens }
}
