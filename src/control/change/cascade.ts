import type { Subject } from '../../kinds/subject.ts'
import { RoleBinding, type RoleBindingSpec } from '../../kinds/role-binding.ts'
import { SignIn, type SignInSpec } from '../../kinds/sign-in.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import type { Admitted } from '../admission/validate.ts'
import type { Stored } from '../stored.ts'
import type { PlannedView } from './view.ts'

/* What comes and goes with something else: whoever makes a Project may use it; a User who goes is signed out. */

const ROLE_BINDING = RoleBinding as unknown as KindDefinition
const SIGN_IN = SignIn as unknown as KindDefinition
const MADE_WITH = 'castellan/made-with-project'

const bindingName = (project: string): string => `project.${project}.creator`

/** The RoleBinding that gives a Project to whoever has made it: all that is in it, and no server that it uses. */
export function creatorBinding(project: string, creator: Subject): Admitted {
  const spec: RoleBindingSpec = {
    subjects: [creator],
    bindings: (['edit', 'create', 'delete', 'run'] as const).map((role) => ({
      role,
      resource: '*',
      project,
    })),
  }
  return {
    definition: ROLE_BINDING,
    name: bindingName(project),
    project: '',
    labels: {},
    annotations: { [MADE_WITH]: project },
    spec,
  }
}

/** What has to go when something goes: else one that is made later by the same name would find it. */
export async function goesWith(
  { definition, name }: Pick<Admitted, 'definition' | 'name'>,
  view: PlannedView,
): Promise<readonly Stored[]> {
  if (definition.kind === 'Project') {
    const binding = await view.stored('RoleBinding', '', bindingName(name))
    return binding?.resource.metadata.annotations[MADE_WITH] === name ? [binding] : []
  }
  if (definition.kind !== 'User') return []
  const signIns = (await view.afterAll(SIGN_IN)).filter(({ spec }) => (spec as SignInSpec).user === name)
  const stored = await Promise.all(signIns.map((signIn) => view.stored('SignIn', '', signIn.name)))
  return stored.filter((one) => one !== undefined)
}
