import type { Clock } from '../lib/clock.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import type { TokenFailure } from '../oauth/client/token-answer.ts'
import { readGrantId } from './grant-id.ts'
import type { Grant } from './grant.ts'
import { justIssued } from './held-secret.ts'
import { COMPILED } from './providers/compiled.ts'
import type { Refresh } from './providers/define-provider.ts'
import { refreshValues, type RefreshSender } from './providers/refresh-values.ts'

/* Logins that a person brought from another program, and that their provider renews at a fixed address. */

const REFRESHES = new Map(
  COMPILED.flatMap(({ id, refresh }) => (refresh === undefined ? [] : [[id, refresh] as const])),
)

/** How a grant that was given is renewed; undefined: it cannot be, so it is given again. */
export function loginRefresh({ name, values, settings, oauth }: Grant): Refresh | undefined {
  const refresh = oauth === undefined ? REFRESHES.get(readGrantId(name).provider) : undefined
  const isThere = (field: string): boolean => values[field] !== undefined || settings[field] !== undefined
  return refresh?.needs.every(isThere) === true ? refresh : undefined
}

/** From when to when its credential is good, as far as that is known. */
export function loginLife(
  { givenAtMs, renewedAtMs, expiresAtMs }: Grant,
  { everySeconds }: Refresh,
): { readonly fromMs: number; readonly toMs: number } | undefined {
  const fromMs = renewedAtMs ?? givenAtMs
  const toMs = expiresAtMs ?? (everySeconds === undefined ? undefined : fromMs + everySeconds * 1000)
  return toMs === undefined ? undefined : { fromMs, toMs }
}

export type LoginRenewed = Pick<Grant, 'values' | 'expiresAtMs' | 'renewedAtMs'>

/** @throws Fault `unavailable` when the grant does not open */
export async function renewLogin(
  grant: Grant,
  refresh: Refresh,
  { sender, clock }: { readonly sender: RefreshSender; readonly clock: Clock },
): Promise<Result<LoginRenewed, TokenFailure>> {
  const secret: Record<string, SecretValue> = {}
  for (const [field, held] of Object.entries(grant.values)) secret[field] = held.open()
  const done = await refreshValues(refresh, { shown: grant.settings, secret }, sender).catch(() => AWAY)
  if (done.outcome === 'refused')
    return err({ message: 'its provider does not renew it any more', final: true, code: undefined })
  if (done.outcome === 'failed') return err(UNREACHED)
  const nowMs = clock.nowMs()
  const values = Object.entries(done.values.secret).map(
    ([field, value]) => [field, justIssued(value)] as const,
  )
  const { expiresInSeconds } = done
  return ok({
    values: Object.fromEntries(values),
    expiresAtMs: expiresInSeconds === undefined ? undefined : nowMs + expiresInSeconds * 1000,
    renewedAtMs: nowMs,
  })
}

const AWAY = { outcome: 'failed' } as const
const UNREACHED: TokenFailure = {
  message: 'its provider could not be reached, or gave no answer',
  final: false,
  code: undefined,
  isAway: true,
}
