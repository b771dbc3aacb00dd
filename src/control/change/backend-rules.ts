import { nearest } from '../../lib/nearest.ts'
import { elsewhereIn, Secret } from '../../kinds/secret.ts'
import type { SpecOf } from '../../kinds/define-kind.ts'
import type { SecretBackends } from '../../secrets/backends/registry.ts'
import type { Admitted } from '../admission/validate.ts'

export type KnownBackends = Pick<SecretBackends, 'names' | 'find'>

/** Whether there is such a backend, and the references can be its; none of them is followed for that. */
export function backendProblems(
  { definition }: Pick<Admitted, 'definition'>,
  spec: unknown,
  backends: KnownBackends,
): readonly string[] {
  const elsewhere = definition.kind === Secret.kind ? elsewhereIn(spec as SpecOf<typeof Secret>) : undefined
  if (elsewhere === undefined) return []
  const backend = backends.find(elsewhere.backend)
  if (backend === undefined) {
    const meant = nearest(elsewhere.backend, backends.names)
    const hint = meant === undefined ? `there are ${backends.names.join(', ')}` : `did you mean ${meant}?`
    return [`spec.backend: there is no such backend; ${hint}`]
  }
  return Object.entries(elsewhere.refs).flatMap(([key, reference]) => {
    const problem = backend.check(reference)
    return problem === undefined ? [] : [`spec.refs.${key}: ${problem}`]
  })
}
