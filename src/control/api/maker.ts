import type { Principal, TokenOwner } from '../../access/principal.ts'
import type { Subject } from '../../kinds/subject.ts'
import { Fault } from '../../lib/fault.ts'
import type { ApplyOptions } from '../change/change.ts'
import { flag } from './route.ts'

/** Whose a Token becomes that a principal makes; undefined: the administrator of the host, or nobody's. */
export function ownerFor(principal: Principal): TokenOwner | undefined {
  if (principal.kind === 'user') return { kind: 'User', name: principal.name }
  if (principal.kind === 'token') return principal.owner
  if (principal.kind === 'local-admin') return undefined
  const { kind, name } = principal.subject
  return kind === 'User' || kind === 'ServiceAccount' ? { kind, name } : undefined
}

/** Who is given a Project that a principal makes; the administrator of the host needs no gift, and a Token gets none. */
function creatorFor(principal: Principal): Subject | undefined {
  if (principal.kind === 'user') return { kind: 'User', name: principal.name }
  return principal.kind === 'subject' ? principal.subject : undefined
}

/**
 * What a change takes from who makes it.
 *
 * @throws Fault `forbidden` for a `force` of anybody but the administrator of the host, `invalid`
 */
export function makerOptions(
  principal: Principal,
  force: string | undefined,
): Pick<ApplyOptions, 'owner' | 'creator' | 'force'> {
  const forced = flag('force', force)
  if (forced && principal.kind !== 'local-admin')
    throw new Fault('forbidden', {
      hint: 'only the administrator of the host can force it, on the host itself',
    })
  return { owner: ownerFor(principal), creator: creatorFor(principal), force: forced }
}
