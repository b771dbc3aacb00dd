import { KINDS } from '../../kinds/registry.ts'
import { changesSince, currentRevision, findResourcesByUid, listResources } from '../../store/resources.ts'
import { listAllSealed, listSealed } from '../../store/sealed.ts'
import type { ControlDb, ControlTransaction, SealedRow, TokenRow } from '../../store/tables.ts'
import { findTokens } from '../../store/tokens.ts'
import { toStored, type Stored } from '../stored.ts'
import { hasCredential } from './credential-entry.ts'
import type { Contents, Delta, State } from './state.ts'

/* The store as the snapshot reads it. Each function reads one revision, whoever writes meanwhile. */

const atOneRevision = <T>(db: ControlDb, read: (tx: ControlTransaction) => Promise<T>): Promise<T> =>
  db.transaction().setIsolationLevel('repeatable read').execute(read)

export const readContents = (db: ControlDb): Promise<Contents> =>
  atOneRevision(db, async (tx) => {
    const rows = []
    for (const { kind } of KINDS) rows.push(...(await listResources(tx, { kind })))
    return {
      revision: await currentRevision(tx),
      resources: rows.map(toStored),
      sealed: await listAllSealed(tx),
      tokens: await findTokens(tx),
    }
  })

/** Resources that were changed, as they are at `revision`. */
export interface Moved {
  readonly revision: number
  /** Without `after`: it is gone. */
  readonly resources: readonly (Omit<Delta, 'before'> & { readonly uid: string })[]
}

/** What was changed after a revision; undefined: that is not known any more, so everything has to be read. */
export const readMoved = (db: ControlDb, since: number): Promise<Moved | undefined> =>
  atOneRevision(db, async (tx) => {
    const changes = await changesSince(tx, since)
    if (changes === undefined) return undefined
    const uids = [...new Set(changes.map(({ uid }) => uid))]
    const rows = new Map((await findResourcesByUid(tx, uids)).map((row) => [row.uid, toStored(row)]))
    const tokens = await tokensOf(tx, rows)
    const resources = []
    for (const uid of uids) {
      const after = rows.get(uid)
      const sealed = after?.definition.secrets === undefined ? undefined : await listSealed(tx, uid)
      resources.push({ uid, after, sealed, token: tokens.get(uid) })
    }
    return { revision: await currentRevision(tx), resources }
  })

async function tokensOf(
  tx: ControlTransaction,
  rows: ReadonlyMap<string, Stored>,
): Promise<ReadonlyMap<string, TokenRow>> {
  const uids = [...rows].filter(([, { resource }]) => hasCredential(resource.kind)).map(([uid]) => uid)
  return new Map((await findTokens(tx, uids)).map((row) => [row.uid, row]))
}

/** What takes a state to the contents of a store that it cannot follow step by step: first out, then in again. */
export function differences(
  state: State,
  contents: Contents,
): { out: readonly Delta[]; in: readonly Delta[] } {
  const sealedOf = Map.groupBy(contents.sealed, ({ uid }) => uid)
  const tokenOf = new Map(contents.tokens.map((row) => [row.uid, row]))
  const kept = new Set<string>()
  const added: Delta[] = []
  for (const after of contents.resources) {
    const { uid } = after.resource.metadata
    const sealed: readonly SealedRow[] = sealedOf.get(uid) ?? []
    if (isSame(state, after, sealed)) kept.add(uid)
    else added.push({ before: undefined, after, sealed, token: tokenOf.get(uid) })
  }
  const before = [...state.byUid.values()].filter(({ resource }) => !kept.has(resource.metadata.uid))
  return { out: before.map((stored) => ({ before: stored, after: undefined })), in: added }
}

function isSame(state: State, after: Stored, sealed: readonly SealedRow[]): boolean {
  const { uid, name } = after.resource.metadata
  const before = state.byUid.get(uid)
  if (JSON.stringify(before?.resource) !== JSON.stringify(after.resource)) return false
  // Of other kinds nothing that is sealed is in the snapshot.
  if (after.definition.secrets === undefined) return true
  const known = state.sealed.get(name)
  return sealed.every(({ field, nonce }) => known?.get(field)?.nonce === nonce)
}
