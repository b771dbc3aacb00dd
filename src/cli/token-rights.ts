import { callApi } from './api.ts'
import { BINDING_FORM, parseBinding, type BindingInput } from './binding-options.ts'
import { usage } from './failure.ts'
import type { Target } from './target.ts'

export interface TokenRights {
  readonly project: string
  /** `--rbac`. */
  readonly rbac: 'empty' | 'clone' | undefined
  /** `--bind`, as given. */
  readonly bind: readonly string[]
}

/**
 * `spec.bindings` of a new token; undefined: the use of its project.
 *
 * @throws CliFailure
 */
export async function tokenBindings(
  target: () => Target,
  { project, rbac, bind }: TokenRights,
): Promise<readonly BindingInput[] | undefined> {
  const given = bind.map((text) => parseBinding('--bind', text))
  if (rbac !== 'clone') return given.length === 0 && rbac === undefined ? undefined : given
  const held = JSON.parse(await callApi(target(), ['auth', 'rights'])) as {
    readonly items: readonly { readonly rule: BindingInput }[]
  }
  const { compileGlobs } = await import('../protocol/glob.ts')
  const here = held.items.flatMap(({ rule }) => inProject(rule, project, compileGlobs) ?? [])
  const all = new Map([...here, ...given].map((binding) => [JSON.stringify(binding), binding]))
  if (all.size === 0)
    throw usage(
      'you hold no right in this project that a token could be given',
      `add: --bind ${BINDING_FORM}`,
    )
  return [...all.values()]
}

/** A right as far as it reaches into a project; a token has none outside of its own. */
function inProject(
  rule: BindingInput,
  project: string,
  compileGlobs: (globs: readonly string[]) => (name: string) => boolean,
): BindingInput | undefined {
  if ('action' in rule) return rule
  const { role, resource, name } = rule
  if (rule.project !== undefined && rule.project !== project) return undefined
  if (resource !== 'projects') return { role, resource, ...(name === undefined ? {} : { name }) }
  return name === undefined || compileGlobs([name])(project) ? { role, resource, name: project } : undefined
}
