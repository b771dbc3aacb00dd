import { sql } from 'kysely'
import { Fault } from '../lib/fault.ts'
import type { ChangeRow, ControlDb, ResourceRow } from './tables.ts'

/*
 * The statements on resources. Those that write take the revision that `bumpRevision` gave to their transaction
 * (`transaction.ts`) and leave one row in `changes`, from which other nodes learn what to read again.
 */

export interface ResourceKey {
  readonly kind: string
  /** `''` for a kind of global scope. */
  readonly project: string
  readonly name: string
}

export interface ResourcePage {
  readonly kind: string
  /** Absent: of every project. */
  readonly project?: string | undefined
  /** The last entry of the page before. */
  readonly after?: Pick<ResourceKey, 'project' | 'name'> | undefined
  /** Absent: all of them. */
  readonly limit?: number | undefined
}

/** What `replaceResource` may change; kind, project, name and creation stay. */
export interface Replacement extends Pick<
  ResourceRow,
  'uid' | 'generation' | 'labels' | 'annotations' | 'spec' | 'status' | 'updated_at_ms' | 'revision'
> {
  /** `revision` of the row that the change was made from. */
  readonly expectedRevision: number
}

export interface Removal {
  readonly uid: string
  readonly revision: number
  readonly atMs: number
}

const VALUES_PER_STATEMENT = 1000

/** How many revisions `changes` reaches back. */
const KEPT_REVISIONS = 10_000

/** @throws Fault `conflict` when the kind has one by that name already */
export async function insertResource(db: ControlDb, row: ResourceRow): Promise<void> {
  await db.insertInto('resources').values(row).execute()
  await recordChange(db, { ...row, operation: 'insert', at_ms: row.created_at_ms })
}

/** @throws Fault `conflict` when the row was changed or removed since it was read */
export async function replaceResource(db: ControlDb, replacement: Replacement): Promise<ResourceRow> {
  const { uid, expectedRevision, ...values } = replacement
  const row = await db
    .updateTable('resources')
    .set(values)
    .where('uid', '=', uid)
    .where('revision', '=', expectedRevision)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) {
    throw new Fault('conflict', {
      hint: 'it was changed in the meantime; read it again and repeat the change',
    })
  }
  await recordChange(db, { ...row, operation: 'replace', at_ms: row.updated_at_ms })
  return row
}

/** Removes the resource with its sealed values and its token. Undefined: there was none by that uid. */
export async function removeResource(db: ControlDb, removal: Removal): Promise<ResourceRow | undefined> {
  const row = await db
    .deleteFrom('resources')
    .where('uid', '=', removal.uid)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) return undefined
  await recordChange(db, { ...row, revision: removal.revision, operation: 'remove', at_ms: removal.atMs })
  return row
}

export const findResource = (db: ControlDb, key: ResourceKey): Promise<ResourceRow | undefined> =>
  db
    .selectFrom('resources')
    .selectAll()
    .where('kind', '=', key.kind)
    .where('project', '=', key.project)
    .where('name', '=', key.name)
    .executeTakeFirst()

export const findResourceByUid = (db: ControlDb, uid: string): Promise<ResourceRow | undefined> =>
  db.selectFrom('resources').selectAll().where('uid', '=', uid).executeTakeFirst()

/** Those of them that are there, in no order. */
export async function findResourcesByUid(db: ControlDb, uids: readonly string[]): Promise<ResourceRow[]> {
  const rows: ResourceRow[] = []
  for (let from = 0; from < uids.length; from += VALUES_PER_STATEMENT) {
    const some = uids.slice(from, from + VALUES_PER_STATEMENT)
    rows.push(...(await db.selectFrom('resources').selectAll().where('uid', 'in', some).execute()))
  }
  return rows
}

/** Those of a kind that have one of these names, in whatever project, in no order. */
export async function findResourcesByName(
  db: ControlDb,
  kind: string,
  names: readonly string[],
): Promise<ResourceRow[]> {
  const rows: ResourceRow[] = []
  for (let from = 0; from < names.length; from += VALUES_PER_STATEMENT) {
    const some = names.slice(from, from + VALUES_PER_STATEMENT)
    const query = db.selectFrom('resources').selectAll().where('kind', '=', kind)
    rows.push(...(await query.where('name', 'in', some).execute()))
  }
  return rows
}

/** Of one kind, by project and name in the order of their bytes. */
export function listResources(db: ControlDb, page: ResourcePage): Promise<ResourceRow[]> {
  const { project, after, limit } = page
  let query = db.selectFrom('resources').selectAll().where('kind', '=', page.kind)
  if (project !== undefined) query = query.where('project', '=', project)
  if (after !== undefined) {
    query = query.where((eb) => eb(eb.refTuple('project', 'name'), '>', eb.tuple(after.project, after.name)))
  }
  if (limit !== undefined) query = query.limit(limit)
  return query.orderBy('project').orderBy('name').execute()
}

/**
 * The revision of the transaction that is going on, one more than that of the last one: call it once in each that
 * changes something, and not in one that turns out to change nothing.
 */
export async function bumpRevision(db: ControlDb): Promise<number> {
  const { value } = await db
    .updateTable('revision')
    .set({ value: sql<number>`value + 1` })
    .returning('value')
    .executeTakeFirstOrThrow()
  await db
    .deleteFrom('changes')
    .where('revision', '<=', value - KEPT_REVISIONS)
    .execute()
  return value
}

/** Of the last committed change; 0 in a new database. */
export async function currentRevision(db: ControlDb): Promise<number> {
  const { value } = await db.selectFrom('revision').select('value').executeTakeFirstOrThrow()
  return value
}

/**
 * What changed after `revision`, in order. Undefined: the record does not reach from there to now (too old, or of
 * another database), so everything has to be read again.
 */
export async function changesSince(db: ControlDb, revision: number): Promise<ChangeRow[] | undefined> {
  const changes = await db
    .selectFrom('changes')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .orderBy('uid')
    .execute()
  // Read last: what was pruned while we read is then seen as missing.
  const behind = (await currentRevision(db)) - revision
  return behind < 0 || behind > KEPT_REVISIONS ? undefined : changes
}

async function recordChange(db: ControlDb, change: ChangeRow): Promise<void> {
  const { revision, uid, kind, project, name, operation, at_ms } = change
  await db
    .insertInto('changes')
    .values({ revision, uid, kind, project, name, operation, at_ms })
    .onConflict((conflict) => conflict.columns(['revision', 'uid']).doUpdateSet({ operation }))
    .execute()
}
