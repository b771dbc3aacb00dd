import type { MintedToken } from '../../access/token.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'
import { mintUid } from '../../lib/id.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import {
  bumpRevision,
  findResource,
  findResourceByUid,
  insertResource,
  listResources,
  removeResource,
  replaceResource,
} from '../../store/resources.ts'
import { listSealed, putSealed } from '../../store/sealed.ts'
import type { Store } from '../../store/store.ts'
import type { ControlTransaction, TokenRow } from '../../store/tables.ts'
import { insertToken } from '../../store/tokens.ts'
import { inTransaction } from '../../store/transaction.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import type { Delta } from '../snapshot/state.ts'
import { toStored, type Stored } from '../stored.ts'

/** What the system makes, and what it has seen of what people made: no manifest says any of it. */
export interface SystemTransaction {
  /** As it is, now that nobody else can write. */
  find(kind: string, name: string): Promise<Stored | undefined>
  findByUid(uid: string): Promise<Stored | undefined>
  /** Tells one sealed value from every other that is or was there. */
  sealedMark(stored: Stored, field: string): Promise<string | undefined>
  /** All sign-ins of a user. */
  signInsOf(userUid: string): Promise<readonly Stored[]>
  /** @throws Fault `conflict` when there is one by that name */
  insert(definition: KindDefinition, made: Made): Promise<Stored>
  /** Puts fields into the status; the spec and its generation stay as they are. */
  observe(stored: Stored, status: Readonly<Record<string, unknown>>): Promise<Stored>
  seal(stored: Stored, field: string, value: SecretValue): Promise<void>
  remove(stored: Stored): Promise<void>
}

/** Of a kind of global scope. */
export interface Made {
  /** Minted before, where it had to be known. */
  readonly uid?: string | undefined
  readonly name: string
  readonly spec: unknown
  readonly status: unknown
  /** By which it is recognised from then on. */
  readonly credential?:
    | (Pick<MintedToken, 'digest' | 'prefix'> & { readonly expiresAtMs: number })
    | undefined
}

export interface BySystemDeps {
  readonly store: Pick<Store, 'control'>
  readonly sealer: Pick<Sealer, 'seal'>
  readonly snapshot: Pick<SnapshotSource, 'apply'>
  readonly clock: { readonly nowMs: () => number }
}

/** One transaction of the system: all of it or nothing; visible in the snapshot when it resolves. */
export async function changeBySystem<T>(
  deps: BySystemDeps,
  work: (tx: SystemTransaction) => Promise<T>,
): Promise<T> {
  const done = await inTransaction(deps.store, async (tx) => {
    const deltas: Delta[] = []
    let bumped: Promise<number> | undefined
    const revision = (): Promise<number> => (bumped ??= bumpRevision(tx))
    const value = await work(writerOf({ ...deps, tx, nowMs: deps.clock.nowMs(), revision, deltas }))
    return { value, deltas, revision: await bumped }
  })
  if (done.revision !== undefined) await deps.snapshot.apply(done.revision, done.deltas)
  return done.value
}

interface Writing extends Pick<BySystemDeps, 'sealer'> {
  readonly tx: ControlTransaction
  readonly nowMs: number
  /** Of this transaction, once it changes something. */
  readonly revision: () => Promise<number>
  readonly deltas: Delta[]
}

const writerOf = (writing: Writing): SystemTransaction => {
  const { tx, sealer } = writing
  return {
    async find(kind, name) {
      const row = await findResource(tx, { kind, project: '', name })
      return row === undefined ? undefined : toStored(row)
    },
    async findByUid(uid) {
      const row = await findResourceByUid(tx, uid)
      return row === undefined ? undefined : toStored(row)
    },
    async sealedMark({ resource: { metadata } }, field) {
      return (await listSealed(tx, metadata.uid)).find((one) => one.field === field)?.nonce
    },
    async signInsOf(userUid) {
      const all = (await listResources(tx, { kind: 'SignIn' })).map(toStored)
      return all.filter(({ resource }) => (resource.spec as SignInSpec).userUid === userUid)
    },
    insert: (definition, made) => insert(writing, definition, made),
    observe: (stored, status) => observe(writing, stored, status),
    async seal({ resource: { kind, metadata } }, field, value) {
      const { uid } = metadata
      await putSealed(tx, { uid, field, ...sealer.seal({ kind, uid, field }, value) })
    },
    async remove(stored) {
      const { uid } = stored.resource.metadata
      await removeResource(tx, { uid, revision: await writing.revision(), atMs: writing.nowMs })
      writing.deltas.push({ before: stored, after: undefined })
    },
  }
}

async function insert(
  { tx, nowMs, revision, deltas }: Writing,
  { kind, uidPrefix }: KindDefinition,
  { uid, name, spec, status, credential }: Made,
): Promise<Stored> {
  const row = {
    uid: uid ?? mintUid(uidPrefix, nowMs),
    kind,
    project: '',
    name,
    generation: 1,
    labels: '{}',
    annotations: '{}',
    spec: JSON.stringify(spec),
    status: JSON.stringify(status),
    created_at_ms: nowMs,
    updated_at_ms: nowMs,
    revision: await revision(),
  }
  await insertResource(tx, row)
  const token: TokenRow | undefined =
    credential === undefined
      ? undefined
      : {
          uid: row.uid,
          digest: credential.digest,
          prefix: credential.prefix,
          expires_at_ms: credential.expiresAtMs,
        }
  if (token !== undefined) await insertToken(tx, token)
  const stored = toStored(row)
  deltas.push({ before: undefined, after: stored, token })
  return stored
}

async function observe(
  { tx, revision, deltas }: Writing,
  stored: Stored,
  seen: Readonly<Record<string, unknown>>,
): Promise<Stored> {
  const { metadata, spec, status } = stored.resource
  const after = toStored(
    await replaceResource(tx, {
      uid: metadata.uid,
      generation: metadata.generation,
      labels: JSON.stringify(metadata.labels),
      annotations: JSON.stringify(metadata.annotations),
      spec: JSON.stringify(spec),
      status: JSON.stringify(Object.assign({}, status, seen)),
      updated_at_ms: Date.parse(metadata.updatedAt),
      revision: await revision(),
      expectedRevision: stored.revision,
    }),
  )
  deltas.push({ before: stored, after })
  return after
}
