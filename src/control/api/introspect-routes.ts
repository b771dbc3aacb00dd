import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { flag, json, type PublicRoute } from './route.ts'
import { createWatchers, standingStream, type Watchers } from './standing-stream.ts'
import { standingOf, type Standing, type StandingDeps } from './standing.ts'

export interface IntrospectDeps extends StandingDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'subscribe'>
  /** The daemon takes nothing more: streams end, and whoever wants one opens it elsewhere. */
  readonly ending?: AbortSignal | undefined
}

export function introspectRoutes(deps: IntrospectDeps): readonly PublicRoute[] {
  let made: Watchers | undefined
  const watchers = (): Watchers => (made ??= createWatchers((changed) => deps.snapshot.subscribe(changed)))
  return [introspectRoute(deps, watchers)]
}

const introspectRoute = (deps: IntrospectDeps, watchers: () => Watchers): PublicRoute => ({
  method: 'GET',
  path: '/api/v1/tokens/introspect',
  summary:
    'What the credential of this request is worth. Says so of a dead one as well, since it proves nothing but that it was asked.',
  query: {
    project: 'The project that a person asks about; a token has one.',
    watch: 'true: an event stream; one event for each change of the answer, the last when it is not active.',
  },
  permission: { use: 'public' },
  answer: { status: 200, types: ['application/json', 'text/event-stream'] },
  handlePublic({ request, query }) {
    const look = (): Standing => standingOf(deps, request.headers.get('authorization'), query['project'])
    if (!flag('watch', query['watch'])) return json(look())
    const { signal } = request
    return standingStream(
      look,
      watchers(),
      deps.ending === undefined ? signal : AbortSignal.any([signal, deps.ending]),
    )
  },
})
