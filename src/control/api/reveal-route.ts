import type { SecretValue } from '../../lib/secret-value.ts'
import { kindFor, reachStored } from './find.ts'
import type { ReadDeps } from './read-routes.ts'
import type { ApiRecord } from './record.ts'
import { json, type FixedRoute } from './route.ts'

export interface RevealDeps {
  readonly snapshot: ReadDeps['snapshot'] & {
    /** Opens the sealed value at this moment. */
    readonly secretValue: (secret: string, key: string) => SecretValue | undefined
  }
  readonly record: ApiRecord
}

/** The one place where the value of a Secret is shown: on the record before it is opened, and never to a Token. */
export const revealRoute = (deps: RevealDeps): FixedRoute => ({
  method: 'GET',
  path: '/api/v1/secrets/{name}/values',
  summary: 'The values of a Secret. It is on the record before it is answered.',
  permission: { operation: 'reveal-secret', kind: 'secrets', name: '{name}' },
  answer: { status: 200, types: ['application/json'] },
  async handle(call) {
    const wanted = { definition: kindFor('secrets'), name: call.params['name'] ?? '', project: undefined }
    const { resource } = reachStored({ state: deps.snapshot.state(), access: call.access }, 'view', wanted)
    const { name } = resource.metadata
    call.access.demand({ operation: 'reveal-secret', kind: 'secrets', name })
    return deps.record.act(call, { verb: 'run', kind: 'reveal-secret', name }, () => {
      const { data } = resource.spec as { readonly data: Readonly<Record<string, null>> }
      const values = Object.keys(data)
        .sort()
        .map((key) => [key, deps.snapshot.secretValue(name, key)?.reveal()] as const)
      return Promise.resolve(json({ kind: 'Secret', name, values: Object.fromEntries(values) }))
    })
  },
})
