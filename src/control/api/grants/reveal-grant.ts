import type { Grant } from '../../../grants/grant.ts'
import type { HeldSecret } from '../../../grants/held-secret.ts'
import { Fault } from '../../../lib/fault.ts'
import { json, type FixedRoute } from '../route.ts'
import { JSON_ANSWER, refuseUnknown, SIGNED_IN, type GrantRouteDeps } from './grant-routes.ts'
import { grantTarget, reachGrant, WHOSE_QUERY } from './whose-grant.ts'

/**
 * The one place where a credential of somebody else is shown: to the administrator of the host, who could read the
 * master key as well; on the record before it is opened. A refresh token is never shown: whoever used it would take
 * the grant away from the daemon.
 */
export const revealGrantRoute = (
  deps: Pick<GrantRouteDeps, 'snapshot' | 'grants' | 'record'>,
): FixedRoute => ({
  method: 'GET',
  path: '/api/v1/grants/{name}/values',
  summary:
    'What of a grant is sent, for the administrator of the host. It is on the record before it is read.',
  query: WHOSE_QUERY,
  permission: SIGNED_IN,
  answer: JSON_ANSWER,
  async handle(call) {
    const key = reachGrant(deps.snapshot.state(), call, 'view', {
      name: call.params['name'] ?? '',
      for: call.query['for'],
      profile: call.query['profile'],
    })
    call.access.demand({ operation: 'reveal-secret', kind: 'grants', name: key.name })
    if (call.principal.kind !== 'local-admin')
      throw new Fault('forbidden', {
        hint: 'only the administrator of the host sees a credential; castellan grant test says whether it works',
      })
    const target = grantTarget(deps.snapshot.state(), key)
    const act = { verb: 'run', kind: 'reveal-secret', name: target, grant: key.name } as const
    return deps.record.act(call, act, async () => {
      const grant = (await deps.grants.stored(key)) ?? refuseUnknown()
      const values = sentOf(grant).map(([field, held]) => [field, held.open().reveal()] as const)
      return json({ name: grant.name, values: Object.fromEntries(values) })
    })
  },
})

const sentOf = ({ oauth, values }: Grant): readonly (readonly [field: string, held: HeldSecret])[] => {
  if (oauth === undefined) return Object.entries(values).filter(([field]) => field !== 'refreshToken')
  return oauth.tokens === undefined ? [] : [['token', oauth.tokens.access]]
}
