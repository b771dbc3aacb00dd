import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { keyOf, type Grant, type GrantStore, type HeldClient, type OAuthState } from '../grants/grant.ts'
import type { HeldSecret } from '../grants/held-secret.ts'
import { SecretValue } from '../lib/secret-value.ts'
import type { Sealer } from '../secrets/sealing.ts'
import {
  grantChangesSince,
  lastGrantChange,
  listGrants,
  removeGrant,
  saveGrant,
  type StoredGrant,
} from '../store/grants.ts'
import type { Store } from '../store/store.ts'
import type { GrantRow, SealedRow } from '../store/tables.ts'

export interface GrantStoreDeps {
  readonly store: Pick<Store, 'control'>
  readonly sealer: Pick<Sealer, 'seal' | 'open' | 'keyId'>
  readonly clock: Pick<Clock, 'nowMs'>
}

/** The grants of the control database: what is secret in one is sealed for it, value by value. */
export function createGrantStore({ store, sealer, clock }: GrantStoreDeps): GrantStore {
  const shelf = createShelf(sealer)
  let seen: number | undefined
  return {
    list: async (filter = {}) => (await listGrants(store.control, filter)).map(shelf.read),
    async find(key) {
      const [stored] = await listGrants(store.control, { key: keyOf(key) })
      return stored && shelf.read(stored)
    },
    save: (grant, told) =>
      patiently(async () => {
        const stored = shelf.write(grant, clock.nowMs())
        return (await saveGrant(store, stored, told)) ? shelf.read(stored) : undefined
      }),
    remove: (key) => removeGrant(store, keyOf(key), clock.nowMs()),
    async changes() {
      if (seen === undefined) {
        seen = await lastGrantChange(store.control)
        return []
      }
      const { seq, keys } = await grantChangesSince(store.control, seen)
      seen = seq
      return keys
    },
  }
}

/** While a master key is replaced, what was sealed a moment ago may be sealed with the one before. */
const TRIES = 5
const PAUSE_MS = 500

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (thrown) {
      if (tried >= TRIES || !mayPass(thrown)) throw thrown
      await sleep(PAUSE_MS, undefined, { ref: false })
    }
  }
}

/** Of a database and of a key, not of us. */
const mayPass = (thrown: unknown): boolean =>
  thrown instanceof Fault ? thrown.code === 'unavailable' : !(thrown instanceof TypeError)

const ACCESS = 'access_token'
const REFRESH = 'refresh_token'
/** What stands in the open and must not be changed there: whose the grant is, and where it may go. */
const BINDING = 'binding'
const clientField = (issuer: string): string => `client_secret ${issuer}`
const valueField = (name: string): string => `value ${name}`

type PlainOAuth = Omit<OAuthState, 'clients' | 'tokens'> & {
  readonly clients: Readonly<Record<string, Omit<HeldClient, 'secret'>>>
  readonly tokens?: { readonly expiresAtMs?: number | undefined; readonly obtainedAtMs: number } | undefined
}

/** What is written down in the open: a grant without what it is worth. */
type PlainState = Pick<
  Grant,
  'source' | 'settings' | 'expiresAtMs' | 'trouble' | 'refreshed' | 'givenAtMs' | 'renewedAtMs' | 'renewing'
> & { readonly oauth?: PlainOAuth | undefined }

interface Shelf {
  readonly read: (stored: StoredGrant) => Grant
  readonly write: (grant: Grant, nowMs: number) => StoredGrant
}

function createShelf(sealer: GrantStoreDeps['sealer']): Shelf {
  /** As they came from the database: what has not changed is not sealed anew. */
  const rows = new WeakMap<HeldSecret, SealedRow>()

  function seal(uid: string, field: string, secret: HeldSecret): SealedRow {
    const row = rows.get(secret)
    // A key that is being replaced may be gone before this is written.
    return row?.uid === uid && row.field === field && row.key_id === sealer.keyId
      ? row
      : { uid, field, ...sealer.seal({ kind: 'Grant', uid, field }, secret.open()) }
  }

  function write(grant: Grant, nowMs: number): StoredGrant {
    const { uid, profile, holder, name, server, origins, version, oauth } = grant
    const row: GrantRow = {
      uid,
      key: keyOf(grant),
      profile,
      holder,
      name,
      server: server ?? '',
      origins: JSON.stringify(origins),
      state: JSON.stringify(plainState(grant)),
      version,
      updated_at_ms: nowMs,
    }
    const secrets: readonly (readonly [string, HeldSecret | undefined])[] = [
      [BINDING, { open: () => new SecretValue(bindingOf(row)) }],
      ...Object.entries(grant.values).map(([field, value]) => [valueField(field), value] as const),
      [ACCESS, oauth?.tokens?.access],
      [REFRESH, oauth?.tokens?.refresh],
      ...Object.entries(oauth?.clients ?? {}).map(
        ([issuer, { secret }]) => [clientField(issuer), secret] as const,
      ),
    ]
    const sealed = secrets.flatMap(([field, secret]) =>
      secret === undefined ? [] : [seal(uid, field, secret)],
    )
    return { row, sealed }
  }

  function read({ row, sealed }: StoredGrant): Grant {
    const { uid, profile, name, server, version } = row
    const fields = new Map(sealed.map((one) => [one.field, one]))
    let isBound = false
    const openField = (field: string): SecretValue | undefined => {
      const found = fields.get(field)
      return found && sealer.open({ kind: 'Grant', uid, field }, found)
    }
    const held = (field: string): HeldSecret | undefined => {
      const found = fields.get(field)
      if (found === undefined) return undefined
      const secret: HeldSecret = {
        open() {
          isBound ||= openField(BINDING)?.reveal() === bindingOf(row)
          if (!isBound) throw new Fault('unavailable', { hint: MOVED })
          return sealer.open({ kind: 'Grant', uid, field }, found)
        },
      }
      rows.set(secret, found)
      return secret
    }
    const { oauth, ...plain } = JSON.parse(row.state) as PlainState
    return {
      ...plain,
      expiresAtMs: plain.expiresAtMs,
      trouble: plain.trouble,
      refreshed: plain.refreshed,
      renewing: plain.renewing,
      uid,
      profile,
      holder: row.holder,
      name,
      version,
      server: server === '' ? undefined : server,
      origins: JSON.parse(row.origins) as string[],
      values: Object.fromEntries(
        [...fields.keys()].flatMap((field) => {
          const secret = field.startsWith(valueField('')) ? held(field) : undefined
          return secret === undefined ? [] : [[field.slice(valueField('').length), secret]]
        }),
      ),
      oauth: oauth && oauthState(oauth, held),
    }
  }

  return { read, write }
}

const MOVED =
  'the grant was changed in the database by somebody else than Castellan: whose it is, or where it may be sent; give it again'

const bindingOf = ({ profile, holder, name, origins }: GrantRow): string =>
  JSON.stringify([profile, holder, name, origins])

function plainState(grant: Grant): PlainState {
  const { source, settings, expiresAtMs, trouble, refreshed, givenAtMs, renewedAtMs, renewing, oauth } = grant
  return {
    source,
    settings,
    expiresAtMs,
    trouble,
    refreshed,
    givenAtMs,
    renewedAtMs,
    renewing,
    oauth: oauth && {
      ...oauth,
      clients: mapValues(oauth.clients, withoutSecret),
      tokens: oauth.tokens && {
        expiresAtMs: oauth.tokens.expiresAtMs,
        obtainedAtMs: oauth.tokens.obtainedAtMs,
      },
    },
  }
}

const withoutSecret = ({ secret: _secret, ...plain }: HeldClient): PlainOAuth['clients'][string] => plain

function oauthState(plain: PlainOAuth, held: (field: string) => HeldSecret | undefined): OAuthState {
  const access = held(ACCESS)
  const { tokens } = plain
  return {
    ...plain,
    clients: mapValues(plain.clients, (client, issuer) => ({ ...client, secret: held(clientField(issuer)) })),
    tokens:
      tokens === undefined || access === undefined
        ? undefined
        : {
            access,
            refresh: held(REFRESH),
            expiresAtMs: tokens.expiresAtMs,
            obtainedAtMs: tokens.obtainedAtMs,
          },
  }
}

const mapValues = <From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From, key: string) => To,
): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))
