import { toFault, type Authenticator } from '../../../access/authenticate.ts'
import type { Authorizer } from '../../../access/authorize.ts'
import type { Permission } from '../../../access/permission.ts'
import type { Principal } from '../../../access/principal.ts'
import type { Resource } from '../../../kinds/define-kind.ts'
import { Fault } from '../../../lib/fault.ts'
import { OUTPUTS } from '../../render/format.ts'
import type { SnapshotSource } from '../../snapshot/snapshot.ts'
import type { Stored } from '../../stored.ts'
import { isIn, sortedOf } from '../list-page.ts'
import { present, type PresentDeps } from '../present.ts'
import { oneOf, wholeNumber, type KindCall } from '../route.ts'
import { readSelectors } from '../selectors.ts'
import { createEventWriter } from './event-text.ts'
import { ResourceWatch } from './resource-watch.ts'
import { resume } from './resume.ts'
import { WatchStream } from './watch-stream.ts'

export interface WatchDeps extends PresentDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'subscribe' | 'catchUp' | 'changesSince'>
  readonly authenticator: Authenticator
  readonly authorizer: Pick<Authorizer, 'decide'>
  /** Aborted when the daemon ends: its clients come back to another one. */
  readonly ending?: AbortSignal | undefined
}

/** Takes a place for one more watch of a principal; the answer gives it back. */
export type WatchPlaces = (principal: Principal) => () => void

/** Each holds a connection, and what its client has been told of. */
const MOST = 1000
const MOST_OF_ONE = 50

/** @throws Fault `too_many` */
export function createWatchPlaces(): WatchPlaces {
  const taken = new Map<string, number>()
  let all = 0
  return ({ key }) => {
    const own = taken.get(key) ?? 0
    if (own >= MOST_OF_ONE || all >= MOST)
      throw new Fault('too_many', {
        hint: `${own >= MOST_OF_ONE ? `you have ${own}` : 'there are too many'} watches open; end some, or list from time to time`,
        retryAfterSeconds: 10,
      })
    taken.set(key, own + 1)
    all += 1
    return () => {
      const left = (taken.get(key) ?? 1) - 1
      if (left === 0) taken.delete(key)
      else taken.set(key, left)
      all -= 1
    }
  }
}

/**
 * Everything of a kind that the caller sees, as it changes.
 *
 * @throws Fault `invalid`, `expired`, `too_many`
 */
export async function watchKind(deps: WatchDeps, call: KindCall, places: WatchPlaces): Promise<Response> {
  const { definition, query, access, principal, request } = call
  if (definition.kind === 'Instance')
    throw new Fault('invalid', { problems: ['watch: instances are not stored; list them from time to time'] })
  const output = oneOf('output', query['output'] ?? 'json', OUTPUTS)
  const since = sinceOf(call)
  const selects = readSelectors(definition, query)
  const wants: Wants = (stored) => isIn(stored, query['project']) && selects(stored) && access.sees(stored)
  if (request.method === 'HEAD') return new Response(null, { headers: HEADERS })
  const watch = new ResourceWatch({ definition, state: deps.snapshot.state, wants })
  const over = new AbortController()
  over.signal.addEventListener('abort', places(principal), { once: true })
  let stream: WatchStream | undefined
  follow(deps, call, watch, { over: over.signal, look: () => stream?.look() })
  try {
    if (since === undefined) watch.lookAtAll()
    else await goOn(deps, call, watch, { since, selects })
    stream = new WatchStream({
      watch,
      writer: createEventWriter(definition, output, await firstOf(deps, call, wants)),
      present: (stored) => present(deps, stored),
      revision: () => deps.snapshot.state().revision,
      refusal: () => refusalOf(deps, call),
      tickMs: deps.clock.tickMs,
      ended: () => over.abort(),
    })
  } catch (thrown) {
    over.abort()
    throw thrown
  }
  const { end } = stream
  for (const signal of [request.signal, deps.ending]) {
    if (signal?.aborted === true) end()
    signal?.addEventListener('abort', end, { once: true, signal: over.signal })
  }
  return new Response(stream.body(), { headers: HEADERS })
}

type Wants = (stored: Stored) => boolean

function follow(
  { snapshot }: WatchDeps,
  call: KindCall,
  watch: ResourceWatch,
  { over, look }: { readonly over: AbortSignal; readonly look: () => void },
): void {
  const movesSight = sightMovers(call)
  const forget = snapshot.subscribe(({ changed }) => {
    if (changed.some(movesSight)) watch.lookAtAll()
    for (const { kind, uid } of changed) if (kind === call.definition.kind) watch.lookAt(uid)
    look()
  })
  over.addEventListener('abort', forget, { once: true })
}

function goOn(
  { snapshot }: WatchDeps,
  call: KindCall,
  watch: ResourceWatch,
  { since, selects }: { readonly since: number; readonly selects: Wants },
): Promise<void> {
  const { definition, query, access } = call
  const movesSight = sightMovers(call)
  const { sees } = access
  const mayView = (permission: Permission): boolean => access.decide(permission).allowed
  return resume(
    { snapshot, definition, project: query['project'], sees, selects, mayView, movesSight },
    watch,
    since,
  )
}

/** What says how wide the columns of a table are. */
async function firstOf(
  deps: WatchDeps,
  { definition, query }: KindCall,
  wants: Wants,
): Promise<readonly Resource[]> {
  if (query['output'] !== 'table' && query['output'] !== 'wide') return []
  return present(deps, sortedOf(deps.snapshot.state(), definition).filter(wants))
}

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // Proxies that would wait for more pass it on at once.
  'x-accel-buffering': 'no',
}

const MAX_REVISION = 999_999_999

/** `Last-Event-ID` is what a client sends that was cut off, so it is newer than what stands in the address. */
function sinceOf({ request, query }: KindCall): number | undefined {
  for (const name of ['limit', 'continue'])
    if (query[name] !== undefined)
      throw new Fault('invalid', { problems: [`${name}: does not go together with watch`] })
  const since = request.headers.get('last-event-id') ?? query['since']
  return since === undefined ? undefined : wholeNumber('since', since, { max: MAX_REVISION, fallback: 0 })
}

/** Changes after which a caller may see other objects than before; the administrator of the host sees all of them. */
function sightMovers({
  principal,
  definition,
}: KindCall): (change: { kind: string; uid: string }) => boolean {
  return ({ kind, uid }) => {
    switch (kind) {
      case 'RoleBinding':
      case 'Group':
      case 'User':
      case 'ServiceAccount':
        return principal.kind !== 'local-admin'
      case 'Token':
        return principal.kind === 'subject' || (principal.kind === 'token' && principal.uid === uid)
      case 'Project':
        // What a project attaches, those may see who have the right in that project.
        return principal.kind !== 'local-admin' && definition.kind === 'Server'
      default:
        return false
    }
  }
}

/** What the credential was good for when the watch began, it must be good for still. */
function refusalOf(
  { authenticator, authorizer }: WatchDeps,
  { request, principal }: KindCall,
): Fault | undefined {
  const known = authenticator.authenticate(request.headers.get('authorization') ?? undefined)
  if (!known.ok) return toFault(known.error)
  const mayGoOn =
    principal.kind !== 'subject' || authorizer.decide(known.value, { operation: 'impersonate' }).allowed
  return mayGoOn ? undefined : new Fault('forbidden', { hint: 'you may not act as others any more' })
}
