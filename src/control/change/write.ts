import { mintToken } from '../../access/token.ts'
import type { Token, TokenSpec } from '../../kinds/token.ts'
import { expiryOf } from '../../kinds/token-ttl.ts'
import { Fault } from '../../lib/fault.ts'
import { mintUid } from '../../lib/id.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { insertResource, replaceResource } from '../../store/resources.ts'
import { listSealed, putSealed, removeSealed } from '../../store/sealed.ts'
import type { ControlTransaction, ResourceRow, SealedRow, TokenRow } from '../../store/tables.ts'
import { insertToken } from '../../store/tokens.ts'
import { toStored, type Stored } from '../stored.ts'
import type { PlannedChange } from './plan.ts'
import { ownerUid } from './token-owner.ts'

/** What one write has done, for the snapshot and for the answer. */
export interface Written {
  readonly stored: Stored
  /** All sealed values of the resource, of kinds that have some. */
  readonly sealed: readonly SealedRow[] | undefined
  readonly token: TokenRow | undefined
  /** Of a new Token: to be shown once. */
  readonly secret: SecretValue | undefined
}

export interface WriteDeps {
  readonly tx: ControlTransaction
  readonly sealer: Pick<Sealer, 'seal'>
  readonly revision: number
  readonly nowMs: number
}

/** Writes one planned change: row, sealed values, and the digest of a new Token. */
export async function writeChange(deps: WriteDeps, change: PlannedChange): Promise<Written> {
  const uid =
    change.before?.resource.metadata.uid ?? mintUid(change.manifest.definition.uidPrefix, deps.nowMs)
  const issued = await issueToken(deps, change, uid)
  const row = toRow(change, deps, { uid, status: issued?.status })
  const written = change.before === undefined ? row : await replace(deps, change.before, row)
  if (change.before === undefined) await insertResource(deps.tx, row)
  if (issued !== undefined) await insertToken(deps.tx, issued.row)
  const sealed = await writeSealed(deps, change, uid)
  return { stored: toStored(written), sealed, token: issued?.row, secret: issued?.secret }
}

const replace = (deps: WriteDeps, before: Stored, row: ResourceRow): Promise<ResourceRow> => {
  const { uid, generation, labels, annotations, spec, status, updated_at_ms, revision } = row
  return replaceResource(deps.tx, {
    uid,
    generation,
    labels,
    annotations,
    spec,
    status,
    updated_at_ms,
    revision,
    expectedRevision: before.revision,
  })
}

function toRow(
  { manifest, before, spec, specChanged }: PlannedChange,
  { revision, nowMs }: WriteDeps,
  { uid, status }: { uid: string; status: unknown },
): ResourceRow {
  const generation = (before?.resource.metadata.generation ?? 0) + (specChanged ? 1 : 0)
  const secrets = manifest.definition.secrets?.of(manifest.spec)
  return {
    uid,
    kind: manifest.definition.kind,
    project: manifest.project,
    name: manifest.name,
    generation,
    labels: JSON.stringify(manifest.labels),
    annotations: JSON.stringify(manifest.annotations),
    spec: JSON.stringify(spec),
    status: JSON.stringify(
      secrets === undefined ? (status ?? before?.resource.status ?? {}) : sizes(secrets, before),
    ),
    created_at_ms: before?.createdAtMs ?? nowMs,
    updated_at_ms: nowMs,
    revision,
  }
}

/** Lengths of the values, so that reading a Secret opens nothing. */
function sizes(given: Readonly<Record<string, string | null>>, before: Stored | undefined): unknown {
  const known = (before?.resource.status ?? {}) as { sizes?: Record<string, number> }
  return {
    sizes: Object.fromEntries(
      Object.entries(given).map(([field, value]) => [
        field,
        value === null ? (known.sizes?.[field] ?? 0) : Buffer.byteLength(value),
      ]),
    ),
  }
}

async function writeSealed(
  { tx, sealer }: WriteDeps,
  { manifest, seal, forget }: PlannedChange,
  uid: string,
): Promise<readonly SealedRow[] | undefined> {
  const { kind, secrets } = manifest.definition
  if (secrets === undefined) return undefined
  for (const [field, value] of seal) {
    await putSealed(tx, { uid, field, ...sealer.seal({ kind, uid, field }, value) })
  }
  for (const field of forget) await removeSealed(tx, uid, field)
  return listSealed(tx, uid)
}

interface IssuedToken {
  readonly row: TokenRow
  readonly status: Pick<Token['status'], 'prefix' | 'expiresAt' | 'ownerUid'>
  readonly secret: SecretValue
}

async function issueToken(
  { tx, nowMs }: WriteDeps,
  { manifest, before, spec }: PlannedChange,
  uid: string,
): Promise<IssuedToken | undefined> {
  if (manifest.definition.kind !== 'Token' || before !== undefined) return undefined
  const { ttl, owner } = spec as TokenSpec
  const expiry = expiryOf(ttl, nowMs)
  if (!expiry.ok) throw new Fault('invalid', { problems: [`spec.ttl: ${expiry.error}`] })
  const { secret, digest, prefix } = mintToken()
  const expiresAtMs = expiry.value
  return {
    secret,
    row: { uid, digest, prefix, expires_at_ms: expiresAtMs ?? null },
    status: {
      prefix,
      expiresAt: expiresAtMs === undefined ? undefined : new Date(expiresAtMs).toISOString(),
      ownerUid: await ownerUid(tx, owner),
    },
  }
}
