import type { ControlDb, TokenRow } from './tables.ts'

/** Its resource must exist; removing that removes the token. */
export async function insertToken(db: ControlDb, row: TokenRow): Promise<void> {
  await db.insertInto('tokens').values(row).execute()
}

/** @param uids absent: all of them, for building the snapshot */
export async function findTokens(db: ControlDb, uids?: readonly string[]): Promise<TokenRow[]> {
  if (uids?.length === 0) return []
  const query = db.selectFrom('tokens').selectAll().orderBy('uid')
  return uids === undefined ? query.execute() : query.where('uid', 'in', uids).execute()
}

export async function removeToken(db: ControlDb, uid: string): Promise<void> {
  await db.deleteFrom('tokens').where('uid', '=', uid).execute()
}
