import type { Authorizer } from '../../access/authorize.ts'
import { renderDescription } from '../render/describe.ts'
import { OUTPUTS } from '../render/format.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { tagged } from './etag.ts'
import { listStored, reachStored } from './find.ts'
import { asText, listRoutes, PROJECT } from './list-routes.ts'
import type { WatchDeps } from './watch/watch-kind.ts'
import { present, type PresentDeps } from './present.ts'
import { relatedOf } from './related.ts'
import { json, oneOf, text, type KindRoute } from './route.ts'

export interface ReadDeps extends PresentDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'access'>
  readonly authorizer: Authorizer
}

const TYPES = ['application/json', 'application/yaml', 'text/plain'] as const

/** Reading resources. All come from the snapshot: no read touches the store but for when Tokens were used. */
export const readRoutes = (deps: ReadDeps & WatchDeps): readonly KindRoute[] => [
  ...listRoutes(deps),
  {
    method: 'GET',
    path: '/api/v1/{word}/{name}',
    summary: 'One of a kind, by name or uid.',
    query: { output: `One of ${OUTPUTS.join(', ')}, describe; default json.`, project: PROJECT },
    headers: { 'If-None-Match': 'ETags of earlier answers: 304 without a body where one is still it.' },
    permission: { verb: 'view', kind: '{word}' },
    answer: { status: 200, types: TYPES },
    async handleKind({ request, definition, params, query, access }) {
      const output = oneOf('output', query['output'] ?? 'json', [...OUTPUTS, 'describe'])
      const state = deps.snapshot.state()
      const stored = reachStored({ state, access }, 'view', {
        definition,
        name: params['name'] ?? '',
        project: query['project'],
      })
      const shown = await present(deps, [stored])
      const [resource] = shown
      if (output === 'describe' && resource !== undefined) {
        const { authorizer } = deps
        return text(renderDescription(resource, relatedOf({ state, authorizer, access }, stored)))
      }
      const answer =
        output === 'json' || output === 'describe' ? json(resource) : await asText(definition, shown, output)
      return tagged(request, stored.revision, answer)
    },
  },
  {
    method: 'GET',
    path: '/api/v1/names/{word}',
    summary: 'Names only, one a line: for completion in a shell.',
    query: { project: PROJECT },
    permission: { verb: 'view', kind: '{word}' },
    answer: { status: 200, types: ['text/plain'] },
    handleKind({ definition, query, access }) {
      const all = listStored(deps.snapshot.state(), definition, query['project']).filter(access.sees)
      return text(all.map(({ resource }) => `${resource.metadata.name}\n`).join(''))
    },
  },
]
