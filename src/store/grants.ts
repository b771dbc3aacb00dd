import { sql } from 'kysely'
import type { Store } from './store.ts'
import type { ControlDb, ControlTransaction, GrantRow, SealedRow } from './tables.ts'
import { inTransaction } from './transaction.ts'

/** A grant with its sealed values. */
export interface StoredGrant {
  readonly row: GrantRow
  readonly sealed: readonly SealedRow[]
}

export interface GrantRowFilter {
  readonly key?: string | undefined
  readonly holder?: string | undefined
  readonly profile?: string | undefined
  readonly name?: string | undefined
}

const COLUMNS = ['key', 'holder', 'profile', 'name'] as const
const UIDS_PER_STATEMENT = 500
/** Notices of changes are for processes that ask every second. */
const KEPT_CHANGES_MS = 10 * 60_000

/** All that the filter lets through, in the order of their keys. */
export async function listGrants(db: ControlDb, filter: GrantRowFilter = {}): Promise<StoredGrant[]> {
  // One transaction, so that a grant and its secrets are of one version.
  return db.transaction().execute(async (tx) => {
    let query = tx.selectFrom('grants').selectAll().orderBy('key')
    for (const column of COLUMNS) {
      const value = filter[column]
      if (value !== undefined) query = query.where(column, '=', value)
    }
    const rows = await query.execute()
    const sealed = await secretsOf(
      tx,
      rows.map(({ uid }) => uid),
    )
    return rows.map((row) => ({ row, sealed: sealed.get(row.uid) ?? [] }))
  })
}

/** Where the grant of this key may be sent; undefined: there is none. */
export async function grantOrigins(db: ControlDb, key: string): Promise<readonly string[] | undefined> {
  const row = await db.selectFrom('grants').select('origins').where('key', '=', key).executeTakeFirst()
  return row && (JSON.parse(row.origins) as string[])
}

async function secretsOf(db: ControlDb, uids: readonly string[]): Promise<Map<string, SealedRow[]>> {
  const rows: SealedRow[] = []
  for (let from = 0; from < uids.length; from += UIDS_PER_STATEMENT)
    rows.push(
      ...(await db
        .selectFrom('grant_secrets')
        .selectAll()
        .where('uid', 'in', uids.slice(from, from + UIDS_PER_STATEMENT))
        .orderBy('uid')
        .orderBy('field')
        .execute()),
    )
  return Map.groupBy(rows, ({ uid }) => uid)
}

/**
 * Keeps a grant with exactly these secrets, as its version says: 1 is a grant that is not there yet.
 *
 * @param told other processes hear of it (`grantChangesSince`)
 * @returns false when the stored one is not of the version before: somebody else has changed it
 */
export async function saveGrant(
  store: Pick<Store, 'control'>,
  { row, sealed }: StoredGrant,
  told: boolean,
): Promise<boolean> {
  const work = async (tx: ControlTransaction): Promise<boolean> => {
    if (!(await putRow(tx, row))) return false
    await tx.deleteFrom('grant_secrets').where('uid', '=', row.uid).execute()
    if (sealed.length > 0)
      await tx
        .insertInto('grant_secrets')
        .values([...sealed])
        .execute()
    if (told) await tellChange(tx, row.key, row.updated_at_ms)
    return true
  }
  // Numbers of changes are in the order of commits only where those go one after the other.
  return told ? inTransaction(store, work) : store.control.transaction().execute(work)
}

async function putRow(db: ControlDb, row: GrantRow): Promise<boolean> {
  if (row.version === 1) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('grants')
      .values(row)
      .onConflict((conflict) => conflict.column('key').doNothing())
      .executeTakeFirstOrThrow()
    return (numInsertedOrUpdatedRows ?? 0n) > 0n
  }
  const { uid, ...change } = row
  const { numUpdatedRows } = await db
    .updateTable('grants')
    .set(change)
    .where('uid', '=', uid)
    .where('version', '=', row.version - 1)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** With its secrets. */
export const removeGrant = (store: Pick<Store, 'control'>, key: string, nowMs: number): Promise<void> =>
  inTransaction(store, async (tx) => {
    await tx.deleteFrom('grants').where('key', '=', key).execute()
    await tellChange(tx, key, nowMs)
  })

async function tellChange(tx: ControlTransaction, key: string, at_ms: number): Promise<void> {
  await tx
    .insertInto('grant_changes')
    .values((eb) => ({
      seq: eb
        .selectFrom('grant_changes')
        .select(sql<number>`coalesce(max(seq), 0) + 1`.as('next'))
        .$asScalar(),
      key,
      at_ms,
    }))
    .execute()
  // The newest one stays whatever its age: numbers only grow.
  await tx
    .deleteFrom('grant_changes')
    .where('at_ms', '<', at_ms - KEPT_CHANGES_MS)
    .where('seq', '<', (eb) => eb.selectFrom('grant_changes').select(sql<number>`max(seq)`.as('last')))
    .execute()
}

/** @returns undefined as keys: some are not known any more, so everything may have changed */
export async function grantChangesSince(
  db: ControlDb,
  seq: number,
): Promise<{ readonly seq: number; readonly keys: readonly string[] | undefined }> {
  const rows = await db
    .selectFrom('grant_changes')
    .select(['seq', 'key'])
    .where('seq', '>=', seq)
    .orderBy('seq')
    .execute()
  const last = rows.at(-1)?.seq ?? seq
  const isWhole = seq === 0 || rows[0]?.seq === seq
  return { seq: last, keys: isWhole ? rows.filter((row) => row.seq > seq).map(({ key }) => key) : undefined }
}

/** Number of the newest change; 0: there was none. */
export async function lastGrantChange(db: ControlDb): Promise<number> {
  const { last } = await db
    .selectFrom('grant_changes')
    .select(sql<number | null>`max(seq)`.as('last'))
    .executeTakeFirstOrThrow()
  return last ?? 0
}
