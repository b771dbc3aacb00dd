import { describeProviders } from '../../../grants/providers/describe-providers.ts'
import type { ProviderRegistry } from '../../../grants/providers/registry.ts'
import type { Grants } from '../../../grants/grants.ts'
import type { GrantReport } from '../../../grants/report.ts'
import { Fault } from '../../../lib/fault.ts'
import { renderGrants, type ShownGrant } from '../../render/grants.ts'
import type { ReadDeps } from '../read-routes.ts'
import type { ApiRecord } from '../record.ts'
import { json, oneOf, text, wholeNumber, type FixedRoute } from '../route.ts'
import type { GrantTester } from './grant-tester.ts'
import type { ConnectPages } from './own-connection.ts'
import {
  grantAct,
  holderText,
  reachAttempt,
  reachGrant,
  reachHolder,
  refuseAttempt,
  WHOSE_QUERY,
} from './whose-grant.ts'

export interface GrantRouteDeps extends Pick<ReadDeps, 'snapshot' | 'clock'> {
  readonly grants: Pick<
    Grants,
    | 'list'
    | 'report'
    | 'start'
    | 'prepareExchange'
    | 'awaitGiven'
    | 'find'
    | 'paste'
    | 'stored'
    | 'revoke'
    | 'give'
    | 'bind'
    | 'refresh'
  >
  readonly providers: ProviderRegistry
  readonly tester: GrantTester
  readonly pages: ConnectPages
  readonly record: ApiRecord
}

export const SIGNED_IN = { use: 'signed-in' } as const
export const JSON_ANSWER = { status: 200, types: ['application/json'] } as const

/** What is said of a grant: never its value. */
export const shownGrant = (deps: Pick<GrantRouteDeps, 'snapshot'>, report: GrantReport): ShownGrant => ({
  ...report,
  holder: holderText(deps.snapshot.state(), report.holder),
})

/** Credentials that others issued to us: no route of these shows one. */
export const grantRoutes = (deps: GrantRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/grants',
    summary: 'Grants: whose, for which server, in which state, until when.',
    query: {
      output: 'table, wide or json; default json.',
      for: 'Whose: `me`, `user:NAME`, `service-account:NAME`, `project:NAME`; default `all`.',
      profile: WHOSE_QUERY.profile,
    },
    permission: SIGNED_IN,
    answer: { status: 200, types: ['application/json', 'text/plain'] },
    async handle(call) {
      const output = oneOf('output', call.query['output'] ?? 'json', ['table', 'wide', 'json'])
      const holder = reachHolder(deps.snapshot.state(), call, call.query['for'])
      const found = await deps.grants.list({ holder, profile: call.query['profile'] })
      const items = found.map((report) => shownGrant(deps, report))
      return output === 'json'
        ? json({ items })
        : text(renderGrants(items, deps.clock.nowMs(), output === 'wide'))
    },
  },
  {
    method: 'GET',
    path: '/api/v1/grants/providers',
    summary: 'What can be granted, and what is needed for it.',
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    handle: async () => json(describeProviders(await deps.providers.current())),
  },
  {
    method: 'GET',
    path: '/api/v1/grants/attempts/{name}',
    summary: 'How an authorization that was started stands.',
    query: { waitSeconds: 'Wait for its end, but no longer; at most 25, default 0.' },
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    async handle(call) {
      const waitMs = 1000 * wholeNumber('waitSeconds', call.query['waitSeconds'], { max: 25, fallback: 0 })
      return json((await deps.grants.find(reachAttempt(call), waitMs)) ?? refuseAttempt())
    },
  },
  {
    method: 'GET',
    path: '/api/v1/grants/{name}',
    summary: 'One grant.',
    query: WHOSE_QUERY,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    async handle(call) {
      const key = reachGrant(deps.snapshot.state(), call, 'view', {
        name: call.params['name'] ?? '',
        for: call.query['for'],
        profile: call.query['profile'],
      })
      return json(shownGrant(deps, (await deps.grants.report(key)) ?? refuseUnknown()))
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/grants/{name}',
    summary: 'Forgets a grant, and tells its authorization server where that can be told.',
    query: WHOSE_QUERY,
    permission: SIGNED_IN,
    answer: JSON_ANSWER,
    handle(call) {
      const key = reachGrant(deps.snapshot.state(), call, 'delete', {
        name: call.params['name'] ?? '',
        for: call.query['for'],
        profile: call.query['profile'],
      })
      return deps.record.act(call, grantAct(deps.snapshot.state(), 'delete', key), async () => {
        const gone = (await deps.grants.revoke(key)) ?? refuseUnknown()
        return json({ name: key.name, ...gone })
      })
    },
  },
]

export function refuseUnknown(): never {
  throw new Fault('not_found', { hint: 'castellan grant list shows the names' })
}
