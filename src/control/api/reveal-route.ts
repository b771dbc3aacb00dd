import { elsewhereIn, ENCRYPTED, type Secret } from '../../kinds/secret.ts'
import { unread, type Reading } from '../../secrets/backends/backend.ts'
import { ownReference } from '../../secrets/backends/encrypted/encrypted-backend.ts'
import { readBounded } from '../../secrets/backends/read-bounded.ts'
import type { SecretBackends } from '../../secrets/backends/registry.ts'
import { kindFor, reachStored } from './find.ts'
import type { ReadDeps } from './read-routes.ts'
import type { ApiRecord } from './record.ts'
import { json, type FixedRoute } from './route.ts'

export interface RevealDeps {
  readonly snapshot: ReadDeps['snapshot']
  readonly backends: Pick<SecretBackends, 'find'>
  readonly record: ApiRecord
}

/** The one place where the value of a Secret is shown: on the record before it is opened, and never to a Token. */
export const revealRoute = (deps: RevealDeps): FixedRoute => ({
  method: 'GET',
  path: '/api/v1/secrets/{name}/values',
  summary:
    'The values of a Secret, as they are where they are kept. It is on the record before they are read.',
  permission: { operation: 'reveal-secret', kind: 'secrets', name: '{name}' },
  answer: { status: 200, types: ['application/json'] },
  async handle(call) {
    const wanted = { definition: kindFor('secrets'), name: call.params['name'] ?? '', project: undefined }
    const { resource } = reachStored({ state: deps.snapshot.state(), access: call.access }, 'view', wanted)
    const { name } = resource.metadata
    call.access.demand({ operation: 'reveal-secret', kind: 'secrets', name })
    return deps.record.act(call, { verb: 'run', kind: 'reveal-secret', name }, async () => {
      const readings = await readAll(deps.backends, resource as Secret)
      const values = readings.flatMap(([key, one]) => (one.ok ? [[key, one.value.reveal()] as const] : []))
      const failed = readings.flatMap(([key, one]) => (one.ok ? [] : [[key, one.error.message] as const]))
      return json({
        kind: 'Secret',
        name,
        values: Object.fromEntries(values),
        ...(failed.length === 0 ? {} : { unread: Object.fromEntries(failed) }),
      })
    })
  },
})

/** Each value anew from its backend: what is there at this moment, not what calls are made with. */
function readAll(
  backends: RevealDeps['backends'],
  { spec, metadata }: Secret,
): Promise<readonly (readonly [key: string, Reading])[]> {
  const elsewhere = elsewhereIn(spec)
  const backend = backends.find(elsewhere?.backend ?? ENCRYPTED)
  const references =
    elsewhere === undefined
      ? Object.keys(spec.data ?? {}).map((key) => [key, ownReference(metadata.uid, key)] as const)
      : Object.entries(elsewhere.refs)
  return Promise.all(
    references
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(async ([key, reference]) => [
        key,
        backend === undefined
          ? unread('away', 'this daemon has no such backend')
          : await readBounded(backend, reference).answer,
      ]),
  )
}
