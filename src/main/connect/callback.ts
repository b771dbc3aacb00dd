import type { LocalAdmin, UserPrincipal } from '../../access/principal.ts'
import { grantAct } from '../../control/api/grants/whose-grant.ts'
import type { ApiRecord } from '../../control/api/record.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { Draft } from '../../grants/attempts.ts'
import type { Grants } from '../../grants/grants.ts'
import type { BroughtBack } from '../../grants/oauth-flow.ts'
import { Fault } from '../../lib/fault.ts'
import { err } from '../../lib/result.ts'
import type { Log } from '../../lib/log.ts'
import type { FrontDeps } from '../http-front.ts'
import { answering } from './answering.ts'
import { redirect } from './page.ts'
import { signedInAs, type PersonDeps } from './person.ts'
import { authorizedPage, failed, notAuthorizedPage } from './views.ts'
import type { Visitor, Visitors } from './visitor.ts'

export interface CallbackDeps extends PersonDeps {
  readonly grants: Pick<Grants, 'arrive'>
  readonly visitors: Pick<Visitors, 'of'>
  readonly snapshot: PersonDeps['snapshot'] & Pick<SnapshotSource, 'state'>
  readonly record: ApiRecord
  readonly log: Log
}

/**
 * What a person sees who comes back from an authorization server: what came of it, or the page that they began on. The
 * address holds a code: no other page learns of it.
 */
export const createCallback =
  (deps: CallbackDeps): FrontDeps['callback'] =>
  (qualifier, answer, request) =>
    answering(deps.log, async () => {
      const visitor = deps.visitors.of(request)
      const { ended, at } = await deps.grants.arrive(qualifier, answer, {
        browser: visitor?.id,
        onRecord: (draft, work) => onRecord(deps, visitor, draft, work),
      })
      if (at === undefined)
        return ended.ok ? authorizedPage(ended.value.name) : notAuthorizedPage(ended.error)
      // Loaded again, it would be an answer that was used before.
      return ended.ok ? redirect(at) : failed('Not connected', [ended.error], { at, status: 400 })
    })

type Work = Parameters<BroughtBack['onRecord']>[1]

async function onRecord(
  deps: CallbackDeps,
  visitor: Visitor | undefined,
  { key, startedBy, page }: Pick<Draft, 'key' | 'startedBy' | 'page'>,
  work: Work,
): ReturnType<Work> {
  const isTheirs = key.holder.startsWith('user:') && page !== undefined && page.browser === visitor?.id
  const finish: Work = async () =>
    isTheirs && (await signedInAs(deps, visitor))?.key !== key.holder ? err(SIGNED_OUT) : work()
  const state = deps.snapshot.state()
  const principal = starterOf(state, startedBy)
  if (principal === undefined) return finish()
  let ended: Awaited<ReturnType<Work>> | undefined
  try {
    return await deps.record.act({ principal }, grantAct(state, 'create', key), async () => {
      ended = await finish()
      if (!ended.ok) throw new Fault('upstream_invalid', { hint: ended.error })
      return ended
    })
  } catch (thrown) {
    if (ended === undefined) throw thrown
    return ended
  }
}

const SIGNED_OUT = 'you are not signed in here any more; sign in and connect it again'

/** Whoever has started it; undefined: no person, whose beginning alone is on the record. */
function starterOf(
  state: ReturnType<SnapshotSource['state']>,
  key: string,
): LocalAdmin | UserPrincipal | undefined {
  if (key === 'local-admin') return { kind: 'local-admin', key, name: key }
  if (!key.startsWith('user:')) return undefined
  const uid = key.slice('user:'.length)
  const name = state.byUid.get(uid)?.resource.metadata.name ?? uid
  return { kind: 'user', key: `user:${uid}`, uid, name, signIn: '', digest: '' }
}
