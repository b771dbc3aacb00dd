import { hash } from 'node:crypto'
import { mintUid } from '../lib/id.ts'
import { openClient } from './authorized-grant.ts'
import type { OAuthClient } from '../oauth/client/authorization-server.ts'
import { DEFAULT_PROFILE } from './grant-id.ts'
import type { Grant, GrantKey, HeldClient } from './grant.ts'
import { justIssued } from './held-secret.ts'
import { SHARED } from './holder.ts'
import type { Keeper } from './keeper.ts'

/*
 * As whom we have registered ourselves at authorization servers: once for each, however many people authorize something
 * there. Kept as a grant that all share, by a name that is none (`grantName` refuses it).
 */

const PREFIX = '@client:'
const SECRET = 'secret'
const CLIENT = 'client'

/** Kept beside grants, and no one's to see, give or take back. */
export const isOurs = ({ name }: Pick<GrantKey, 'name'>): boolean => name.startsWith('@')

/** Another redirect address is another registration. */
const keyFor = (issuer: string, redirectUri: string): GrantKey => ({
  profile: DEFAULT_PROFILE,
  holder: SHARED,
  name: PREFIX + hash('sha256', `${issuer} ${redirectUri}`, 'hex').slice(0, 40),
})

/** As whom we are known there, if we are. */
export async function findRegistration(
  keeper: Pick<Keeper, 'reload'>,
  issuer: string,
  redirectUri: string,
): Promise<OAuthClient | undefined> {
  const kept = await keeper.reload(keyFor(issuer, redirectUri))
  const text = kept?.settings[CLIENT]
  if (kept === undefined || text === undefined) return undefined
  const client = JSON.parse(text) as Omit<HeldClient, 'secret'>
  return openClient({ ...client, secret: kept.values[SECRET] })
}

export async function keepRegistration(
  keeper: Pick<Keeper, 'update'>,
  issuer: string,
  { secret, ...client }: OAuthClient,
  nowMs: number,
): Promise<void> {
  const key = keyFor(issuer, client.redirectUri)
  await keeper.update(key, (stored): Grant => ({
    ...key,
    uid: stored?.uid ?? mintUid('grt', nowMs),
    server: undefined,
    origins: [new URL(issuer).origin],
    source: 'browser',
    values: secret === undefined ? {} : { [SECRET]: justIssued(secret) },
    settings: { [CLIENT]: JSON.stringify(client) },
    expiresAtMs: undefined,
    oauth: undefined,
    trouble: undefined,
    refreshed: undefined,
    givenAtMs: nowMs,
    renewing: undefined,
    version: 0,
  }))
}

/** Its authorization server does not know it any more. */
export async function dropRegistration(
  keeper: Pick<Keeper, 'reload' | 'remove'>,
  issuer: string,
  { clientId, redirectUri }: Pick<OAuthClient, 'clientId' | 'redirectUri'>,
): Promise<void> {
  const known = await findRegistration(keeper, issuer, redirectUri)
  // Somebody may have registered another meanwhile.
  if (known?.clientId === clientId) await keeper.remove(keyFor(issuer, redirectUri))
}
