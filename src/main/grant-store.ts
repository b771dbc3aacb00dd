import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import type { Grant, GrantStore } from '../grants/grant.ts'
import type { OAuthClient } from '../oauth/client/authorization-server.ts'
import type { Sealer } from '../secrets/sealing.ts'
import { listGrants, removeGrant, saveGrant, type StoredGrant } from '../store/grants.ts'
import type { ControlDb, SealedRow } from '../store/tables.ts'

/** The grants of the control database: what is secret in one is sealed for it, value by value. */
export const createGrantStore = (
  db: ControlDb,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  clock: Pick<Clock, 'nowMs'>,
): GrantStore => ({
  list: async () => (await listGrants(db)).map((stored) => toGrant(stored, sealer)),
  async find(name) {
    const [stored] = await listGrants(db, name)
    return stored === undefined ? undefined : toGrant(stored, sealer)
  },
  save: (grant) => saveGrant(db, toStored(grant, sealer, clock.nowMs())),
  remove: (name) => removeGrant(db, name),
})

const ACCESS = 'access_token'
const REFRESH = 'refresh_token'
const secretOf = (issuer: string): string => `client_secret ${issuer}`

/** What is written down in the open: a grant without what it is worth. */
interface PlainState extends Omit<
  Grant,
  'uid' | 'name' | 'server' | 'origin' | 'version' | 'clients' | 'tokens'
> {
  readonly clients: Readonly<Record<string, Omit<OAuthClient, 'secret'>>>
  readonly tokens: { readonly expiresAtMs: number | undefined; readonly obtainedAtMs: number } | undefined
}

function toStored(grant: Grant, sealer: Pick<Sealer, 'seal'>, nowMs: number): StoredGrant {
  const { uid, name, server, origin, version, clients, tokens, ...rest } = grant
  const state: PlainState = {
    ...rest,
    clients: mapValues(clients, ({ clientId, method, redirectUri, from }) => ({
      clientId,
      method,
      redirectUri,
      from,
    })),
    tokens:
      tokens === undefined
        ? undefined
        : { expiresAtMs: tokens.expiresAtMs, obtainedAtMs: tokens.obtainedAtMs },
  }
  const secrets: readonly (readonly [string, SecretValue | undefined])[] = [
    [ACCESS, tokens?.access],
    [REFRESH, tokens?.refresh],
    ...Object.entries(clients).map(([issuer, client]) => [secretOf(issuer), client.secret] as const),
  ]
  const sealed = secrets.flatMap(([field, value]): SealedRow[] =>
    value === undefined ? [] : [{ uid, field, ...sealer.seal({ kind: 'Grant', uid, field }, value) }],
  )
  const row = { uid, name, server, origin, state: JSON.stringify(state), version, updated_at_ms: nowMs }
  return { row, sealed }
}

/** One that does not open (another key, a row that was put in the place of another) is a grant to be given again. */
function toGrant(stored: StoredGrant, sealer: Pick<Sealer, 'open'>): Grant {
  try {
    return openGrant(stored, sealer)
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    const { row } = stored
    const message = `the grant ${row.name} does not open with the present master key; authorize it again: castellan grant oauth ${row.name.replace(/^oauth:/, '')} --server ${row.server}`
    const shut = openGrant({ row: { ...row, state: withoutCredentials(row.state) }, sealed: [] }, sealer)
    return { ...shut, trouble: { kind: 'login', message, atMs: row.updated_at_ms } }
  }
}

const withoutCredentials = (state: string): string =>
  JSON.stringify({ ...(JSON.parse(state) as PlainState), clients: {}, tokens: undefined })

function openGrant({ row, sealed }: StoredGrant, sealer: Pick<Sealer, 'open'>): Grant {
  const { uid, name, server, origin, version } = row
  const { clients, tokens, ...rest } = JSON.parse(row.state) as PlainState
  const open = (field: string): SecretValue | undefined => {
    const found = sealed.find((one) => one.field === field)
    return found === undefined ? undefined : sealer.open({ kind: 'Grant', uid, field }, found)
  }
  const access = open(ACCESS)
  return {
    ...rest,
    uid,
    name,
    server,
    origin,
    version,
    clients: mapValues(clients, (client, issuer) => ({ ...client, secret: open(secretOf(issuer)) })),
    tokens:
      tokens === undefined || access === undefined
        ? undefined
        : { ...tokens, access, refresh: open(REFRESH), expiresAtMs: tokens.expiresAtMs },
  }
}

const mapValues = <From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From, key: string) => To,
): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))
