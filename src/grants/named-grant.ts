import type { ServerSpec } from '../kinds/server.ts'
import type { ServerAuth } from '../kinds/server-auth.ts'
import { DEFAULT_PROFILE } from './grant-id.ts'
import type { GrantKey } from './grant.ts'
import type { Whose } from './holder.ts'

/** The grant that a Server names, whosever it is; undefined: none. */
export const namedGrant = (spec: ServerSpec): Omit<GrantKey, 'holder'> | undefined =>
  spec.transport === 'stdio' || spec.auth === undefined ? undefined : grantIn(spec.auth)

export const grantIn = ({
  grant: name,
  profile = DEFAULT_PROFILE,
}: ServerAuth): Omit<GrantKey, 'holder'> => ({
  name,
  profile,
})

/** Whether each person has their own. */
export const isEachPersons = (whose: Whose | undefined): boolean => whose === 'per-user' || whose === 'caller'
