import { hash } from 'node:crypto'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import { readGrantId } from '../../grants/grant-id.ts'
import { credentialOf, type GrantKey } from '../../grants/grant.ts'
import type { Grants } from '../../grants/grants.ts'
import { grantIn, isEachPersons } from '../../grants/named-grant.ts'
import { isBoundTo } from '../../grants/origins.ts'
import type { Provider } from '../../grants/providers/define-provider.ts'
import type { ProviderRegistry } from '../../grants/providers/registry.ts'
import { readQualifier } from '../../grants/providers/values.ts'
import { asFault, Fault } from '../../lib/fault.ts'
import type { ConnectTicket } from './ticket.ts'

/** What somebody is asked to agree to: an account of theirs, for one Server. */
export interface Offer {
  readonly server: string
  readonly description: string | undefined
  readonly url: string
  readonly origin: string
  readonly key: GrantKey
  /** It is connected, and works as far as is known here. */
  readonly isConnected: boolean
  /** Digest of all this: whoever agrees has seen this and nothing else. */
  readonly id: string
}

/** How it is connected. */
export type Way =
  | { readonly kind: 'authorize'; readonly issuer: string; readonly scopes: readonly string[] }
  | { readonly kind: 'give'; readonly provider: Provider }
  /** One public sentence. */
  | { readonly kind: 'none'; readonly why: string }

export interface OfferDeps {
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly grants: Pick<Grants, 'stored' | 'preview'>
  readonly providers: ProviderRegistry
}

/** @returns undefined: the Server is not there any more, or takes no accounts of people */
export async function offerFor(
  { snapshot, grants }: Pick<OfferDeps, 'snapshot' | 'grants'>,
  { server: name, holder }: Pick<ConnectTicket, 'server' | 'holder'>,
): Promise<Offer | undefined> {
  const server = snapshot.state().servers.get(name)
  if (server === undefined || server.spec.transport === 'stdio') return undefined
  const { auth, url, description } = server.spec
  if (auth === undefined || !isEachPersons(auth.whose)) return undefined
  const { origin } = new URL(url)
  const key = Object.assign({ holder }, grantIn(auth))
  const grant = await grants.stored(key)
  const isConnected =
    grant !== undefined &&
    grant.trouble === undefined &&
    credentialOf(grant) !== undefined &&
    isBoundTo(grant.origins, origin)
  const id = digest([server.uid, url, key.name, key.profile, holder])
  return { server: name, description, url, origin, key, isConnected, id }
}

/** Asks whoever has to be asked: an authorization server says what it will want. */
export async function wayFor({ grants, providers }: OfferDeps, offer: Offer): Promise<Way> {
  try {
    if (readGrantId(offer.key.name).provider === 'oauth')
      return Object.assign({ kind: 'authorize' as const }, await grants.preview(asked(offer)))
    return { kind: 'give', provider: await givable({ providers }, offer) }
  } catch (thrown) {
    const { code, hint, message } = asFault(thrown)
    if (code === 'internal') throw thrown
    return { kind: 'none', why: hint ?? message }
  }
}

/**
 * Whose credential people give on a page.
 *
 * @throws Fault `not_found`, `invalid` when it is none that a person gives for themselves
 */
export async function givable(
  { providers }: Pick<OfferDeps, 'providers'>,
  { key }: Offer,
): Promise<Provider> {
  const { provider: word, qualifier } = readGrantId(key.name)
  const provider = (await providers.current()).need(word)
  const named = readQualifier(provider, qualifier)
  // What is checked on the machine of the daemon uses its identity there: no user may take that for their own.
  if (named.ok && !provider.runsOnly && provider.check === undefined && provider.id !== 'oauth')
    return provider
  throw new Fault('invalid', {
    hint: named.ok ? 'a grant of this kind is given on the command line, by an administrator' : named.error,
  })
}

/** The part of a request for an authorization that the offer says. */
export const asked = ({ key, server, url }: Offer) => ({ key, server, url, flags: {} })

/** What an authorization server wants, in one word. */
export const termsOf = ({
  issuer,
  scopes,
}: {
  readonly issuer: string
  readonly scopes: readonly string[]
}): string => digest([issuer, ...scopes.toSorted()])

const digest = (parts: readonly string[]): string =>
  hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22)
