import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { SealedRow, StateTables, ControlTables } from './tables.ts'
import type { Store } from './store.ts'

/* Every table that holds sealed values, read and written alike: for sealing all of them anew. */

interface SealedTableShape {
  readonly part: 'control' | 'state'
  /** Its primary key. */
  readonly key: readonly string[]
  /** What a value belongs to, as columns of the answer besides the four of what is sealed. */
  readonly owner: RawBuilder<unknown>
}

const ID = sql`id as uid, '' as field, '' as kind`

// oxfmt-ignore
const TABLES = {
  sealed:            { part: 'control', key: ['uid', 'field'], owner: sql`uid, field, (select kind from resources where resources.uid = sealed.uid) as kind` },
  grant_secrets:     { part: 'control', key: ['uid', 'field'], owner: sql`uid, field, '' as kind` },
  answers:           { part: 'control', key: ['id'],           owner: ID },
  upstream_sessions: { part: 'state',   key: ['uid'],          owner: sql`uid, '' as field, '' as kind` },
  sign_in_attempts:  { part: 'state',   key: ['id'],           owner: ID },
  grant_attempts:    { part: 'state',   key: ['id'],           owner: ID },
} as const satisfies Record<string, SealedTableShape>

export type SealedTable = keyof typeof TABLES
export const SEALED_TABLES = Object.keys(TABLES) as readonly SealedTable[]

/** Whether a table is of what is going on, not of what is configured: in the embedded store that is another file. */
export const isGoingOn = (table: SealedTable): boolean => TABLES[table].part === 'state'

/** A sealed value, in whichever table it is. */
export interface StoredValue extends SealedRow {
  /** Of the resource that it belongs to; `''`: it belongs to none. */
  readonly kind: string
}

type Both = Pick<Store, 'control' | 'state'>
type AnyDb = Kysely<ControlTables & StateTables>

const partOf = (store: Both, table: SealedTable): AnyDb => store[TABLES[table].part] as AnyDb
const keyOf = (table: SealedTable, { uid, field }: Pick<StoredValue, 'uid' | 'field'>): readonly string[] =>
  TABLES[table].key.length === 1 ? [uid] : [uid, field]
const tuple = (parts: readonly RawBuilder<unknown>[]): RawBuilder<unknown> => sql`(${sql.join(parts)})`
const columnsOf = (table: SealedTable): RawBuilder<unknown> =>
  tuple(TABLES[table].key.map((column) => sql.ref(`${table}.${column}`)))

/** Values that a master key has sealed, in the order of their keys. @param after the last one of the page before */
export async function listSealedWith(
  store: Both,
  table: SealedTable,
  page: { readonly keyId: string; readonly after: StoredValue | undefined; readonly limit: number },
): Promise<readonly StoredValue[]> {
  const { keyId, after, limit } = page
  const beyond =
    after === undefined
      ? sql``
      : sql`and ${columnsOf(table)} > ${tuple(keyOf(table, after).map((part) => sql.val(part)))}`
  const { rows } = await sql<StoredValue>`
    select ${TABLES[table].owner}, key_id, wrapped_key, nonce, ciphertext from ${sql.table(table)}
    where key_id = ${keyId} ${beyond} order by ${sql.join(TABLES[table].key.map((column) => sql.ref(`${table}.${column}`)))} limit ${limit}
  `.execute(partOf(store, table))
  return rows
}

type Replacing = Pick<SealedRow, 'key_id' | 'wrapped_key' | 'nonce' | 'ciphertext'>

/** Seals a value anew, unless somebody has written another in its place. */
export async function replaceSealedValue(
  store: Both,
  table: SealedTable,
  { before, after }: { readonly before: StoredValue; readonly after: Replacing },
): Promise<void> {
  const { key_id, wrapped_key, nonce, ciphertext } = after
  await sql`
    update ${sql.table(table)}
    set key_id = ${key_id}, wrapped_key = ${wrapped_key}, nonce = ${nonce}, ciphertext = ${ciphertext}
    where ${isThat(table, before)}
  `.execute(partOf(store, table))
}

/** Unless somebody has written another in its place. */
export async function dropSealedValue(store: Both, table: SealedTable, before: StoredValue): Promise<void> {
  await sql`delete from ${sql.table(table)} where ${isThat(table, before)}`.execute(partOf(store, table))
}

const isThat = (table: SealedTable, before: StoredValue): RawBuilder<unknown> =>
  sql`${columnsOf(table)} = ${tuple(keyOf(table, before).map((part) => sql.val(part)))} and ciphertext = ${before.ciphertext}`

/** How many values each master key has sealed in a table. */
export async function countSealed(
  store: Both,
  table: SealedTable,
): Promise<readonly { readonly key_id: string; readonly count: number }[]> {
  const { rows } = await sql<{ key_id: string; count: number }>`
    select key_id, count(*) as count from ${sql.table(table)} group by key_id order by key_id
  `.execute(partOf(store, table))
  return rows
}

/** `pg_advisory_xact_lock` key: see migration `keys`. */
const SEALING_LOCK = 74_117_412

/** Waits until nobody is about to write a sealed value, and lets nobody begin before this transaction ends. */
export async function holdSealing(tx: Store['control'], dialect: Store['dialect']): Promise<void> {
  // SQLite has one writer.
  if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${SEALING_LOCK})`.execute(tx)
}

/** Takes what was overwritten out of the files of the database, as far as a client of it can. */
export async function forgetOverwritten({
  control,
  state,
  dialect,
}: Both & Pick<Store, 'dialect'>): Promise<void> {
  if (dialect === 'postgres') {
    for (const table of [...SEALED_TABLES, 'key_rotation', 'master_key'])
      await sql`vacuum ${sql.table(table)}`.execute(control)
    return
  }
  await sql`pragma wal_checkpoint(truncate)`.execute(control)
  await sql`pragma wal_checkpoint(truncate)`.execute(state)
}
