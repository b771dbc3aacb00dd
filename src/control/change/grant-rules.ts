import { DEFAULT_PROFILE } from '../../grants/grant-id.ts'
import { keyOf } from '../../grants/grant.ts'
import { SHARED } from '../../grants/holder.ts'
import { isBoundTo } from '../../grants/origins.ts'
import type { ServerSpec } from '../../kinds/server.ts'
import { grantOrigins } from '../../store/grants.ts'
import type { ControlDb } from '../../store/tables.ts'
import type { Admitted } from '../admission/validate.ts'

/**
 * A Server that names a grant which all share may only be where that grant may be sent: whoever changes its url would
 * otherwise be told when somebody calls. A grant that is not there yet is bound to the Server when it is given; those of
 * people are looked at when they are sent.
 */
export async function grantProblems(
  { definition }: Pick<Admitted, 'definition'>,
  spec: unknown,
  db: ControlDb,
): Promise<readonly string[]> {
  if (definition.kind !== 'Server') return []
  const server = spec as ServerSpec
  if (server.transport === 'stdio' || server.auth === undefined) return []
  const { grant: name, profile = DEFAULT_PROFILE, whose = 'shared' } = server.auth
  if (whose !== 'shared') return []
  const origins = await grantOrigins(db, keyOf({ name, profile, holder: SHARED }))
  if (origins === undefined || isBoundTo(origins, new URL(server.url).origin)) return []
  return [
    `spec.auth.grant: the grant ${name} may not be sent to where spec.url is; whoever gave it can allow that: castellan grant bind ${name} ORIGIN`,
  ]
}
