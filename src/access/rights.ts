import { bindingText, isOperation, type Binding, type Role } from '../kinds/binding.ts'
import {
  compileRule,
  covers,
  nameTest,
  rolesThatGive,
  type CompiledRule,
  type HeldRule,
} from './held-rule.ts'
import { isIn, type Permission, type Places, type ResourcePermission } from './permission.ts'
import type { ToolScope } from './project-access.ts'
import { NEVER_FOR_TOKENS } from './resources.ts'

/** `other-project`: a token outside of its project. `no-right`: nothing gives the permission. `owner`: the token could, its owner cannot. */
type DenialReason = 'other-project' | 'no-right' | 'owner'

export type Decision =
  | { readonly allowed: true; readonly by: HeldRule }
  | { readonly allowed: false; readonly reason: DenialReason }

/** All that a principal may do, compiled from the rules that they hold. */
export interface Rights {
  decide(permission: Permission, places: Places): Decision
  /** Whether there can be anything for which they hold this: else even asking is refused. Looks at no name. */
  canEver(permission: Permission): boolean
  /** Whether they hold all that a binding gives. */
  covers(binding: Binding): boolean
  /** What they may use in a project; undefined among them: nothing. */
  toolScopes(project: string): readonly (ToolScope | undefined)[]
  /** For people: what they hold, and why. Of a token: its own, which its owner's rights bound. */
  readonly rules: readonly HeldRule[]
}

const NO_RIGHT: Decision = { allowed: false, reason: 'no-right' }
const OTHER_PROJECT: Decision = { allowed: false, reason: 'other-project' }
const OWNER: Decision = { allowed: false, reason: 'owner' }

/** The rights of somebody who holds these rules. */
export function rightsOf(rules: readonly HeldRule[]): Rights {
  const byResource = Map.groupBy(rules.map(compileRule), ({ held: { rule } }) =>
    isOperation(rule) ? 'operation' : `${rule.role} ${rule.resource}`,
  )
  const operations = rules.filter(({ rule }) => isOperation(rule))

  const candidates = (verb: Role, kind: string): readonly CompiledRule[] =>
    rolesThatGive(verb)
      .flatMap((role) => [`${role} ${kind}`, `${role} *`])
      .flatMap((key) => byResource.get(key) ?? [])

  const find = (wanted: ResourcePermission, places: Places): HeldRule | undefined =>
    waysTo(wanted)
      .flatMap((way) => candidates(way.verb, way.kind).find((rule) => rule.isAbout(way, places)) ?? [])
      .at(0)?.held

  return {
    rules,
    decide(permission, places) {
      const by =
        'operation' in permission
          ? operations.find(({ rule }) => covers(rule, { role: 'run', action: permission.operation }))
          : find(permission, places)
      return by === undefined ? NO_RIGHT : { allowed: true, by }
    },
    canEver: (permission) =>
      'operation' in permission
        ? operations.some(({ rule }) => covers(rule, { role: 'run', action: permission.operation }))
        : candidates(permission.verb, permission.kind).length > 0,
    covers: (binding) => rules.some(({ rule }) => covers(rule, binding)),
    toolScopes: (project) => [toolScope(candidates, project)],
  }
}

/** A tool may be called by whoever may use it, or all of its server, or all of the project. */
const waysTo = (wanted: ResourcePermission): readonly ResourcePermission[] =>
  wanted.kind !== 'tools'
    ? [wanted]
    : [
        { verb: wanted.verb, kind: 'projects', name: wanted.project },
        { verb: wanted.verb, kind: 'servers', name: wanted.server, project: wanted.project },
        wanted,
      ]

/** No rule about a project asks where something is: the question is the project itself. */
const NOWHERE: Places = { inProject: () => false }

function toolScope(
  candidates: (verb: Role, kind: string) => readonly CompiledRule[],
  project: string,
): ToolScope | undefined {
  const whole = candidates('run', 'projects').some((rule) =>
    rule.isAbout({ verb: 'run', kind: 'projects', name: project }, NOWHERE),
  )
  if (whole) return 'all'
  const globs = (kind: string): string[] =>
    candidates('run', kind).flatMap(({ held: { rule } }) =>
      !isOperation(rule) && (rule.project === undefined || rule.project === project)
        ? (rule.name ?? '*')
        : [],
    )
  const scope = { tools: globs('tools'), servers: globs('servers') }
  return scope.tools.length + scope.servers.length === 0 ? undefined : scope
}

/**
 * The rights of a Token: never beyond its project, what its own rules give, and of that what its owner may at this
 * moment.
 */
export function tokenRights(project: string, own: Rights, owner: Rights): Rights {
  return {
    rules: own.rules,
    decide(permission, places) {
      if (!isIn(permission, project, places))
        return permission.name === undefined && permission.project === undefined ? NO_RIGHT : OTHER_PROJECT
      if ('operation' in permission && NEVER_FOR_TOKENS.has(permission.operation)) return NO_RIGHT
      const decision = own.decide(permission, places)
      if (!decision.allowed) return decision
      return owner.decide(permission, places).allowed ? decision : OWNER
    },
    canEver: (permission) =>
      !('operation' in permission && NEVER_FOR_TOKENS.has(permission.operation)) &&
      own.canEver(permission) &&
      owner.canEver(permission),
    // What reaches beyond the project is not within the rights of anything that cannot.
    covers: (binding) =>
      bindingText(binding) === bindingText(fenced(binding, project)) &&
      own.covers(binding) &&
      owner.covers(binding),
    toolScopes: (wanted) =>
      wanted === project ? [...own.toolScopes(wanted), ...owner.toolScopes(wanted)] : [undefined],
  }
}

/** A rule as it holds for a Token of this project. One about another project is left as it is: it gives nothing here. */
export function fenced(binding: Binding, project: string): Binding {
  if (isOperation(binding) || binding.project !== undefined) return binding
  const { role, resource, name } = binding
  return resource === 'projects' && nameTest(name)(project)
    ? { role, resource, name: project }
    : { ...binding, project }
}
