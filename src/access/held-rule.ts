import { isOperation, type Binding, type Role } from '../kinds/binding.ts'
import { compileGlobs } from '../protocol/glob.ts'
import { isIn, type Places, type ResourcePermission } from './permission.ts'

/** One right that somebody holds, and why. */
export interface HeldRule {
  readonly rule: Binding
  /** What gives it: `RoleBinding/admins`, `Token/demo/laptop`. */
  readonly from: string
  /** Through which subject: the caller, or a group that they belong to. */
  readonly via: string
}

/** `edit` includes `view`: who changes something has to read it. */
export const rolesThatGive = (verb: Role): readonly Role[] => (verb === 'view' ? ['view', 'edit'] : [verb])

/** A rule that is ready to be asked often. */
export interface CompiledRule {
  readonly held: HeldRule
  /** Whether the rule, whose role and resource fit already, is about this very thing. */
  readonly isAbout: (wanted: ResourcePermission, places: Places) => boolean
}

type IsAbout = CompiledRule['isAbout']

/** One rule of a binding is held by everybody whom the binding names. */
const compiled = new WeakMap<Binding, IsAbout>()

export function compileRule(held: HeldRule): CompiledRule {
  const { rule } = held
  let isAbout = compiled.get(rule)
  if (isAbout === undefined) {
    isAbout = aboutOf(rule)
    compiled.set(rule, isAbout)
  }
  return { held, isAbout }
}

function aboutOf(rule: Binding): IsAbout {
  if (isOperation(rule)) return () => false
  const { project } = rule
  const named = nameTest(rule.name)
  return (wanted, places) => named(wanted.name) && (project === undefined || isIn(wanted, project, places))
}

/** `name:*` is the same as no name: it holds for what has none as well. */
const givenName = (glob: string | undefined): string | undefined =>
  glob === undefined || /^\*+$/.test(glob) ? undefined : glob

/** @param glob `name` of a rule */
export function nameTest(glob: string | undefined): (name: string | undefined) => boolean {
  const given = givenName(glob)
  if (given === undefined) return () => true
  const fits = compileGlobs([given])
  return (name) => name !== undefined && fits(name)
}

/** Whether all that `asked` gives is given by `held`: what nobody can go beyond when they give rights away. */
export function covers(held: Binding, asked: Binding): boolean {
  if (isOperation(held) || isOperation(asked))
    return isOperation(held) && isOperation(asked) && (held.action === '*' || held.action === asked.action)
  if (!rolesThatGive(asked.role).includes(held.role)) return false
  if (coversTools(held, asked)) return true
  if (held.resource !== '*' && held.resource !== asked.resource) return false
  if (!coversName(held.name, asked.name)) return false
  const inside = asked.resource === 'projects' && asked.name !== undefined && asked.name === held.project
  return held.project === undefined || held.project === asked.project || inside
}

type Named = Exclude<Binding, { action: string }>

/** Who may use a project or a server may use its tools. */
function coversTools(held: Named, asked: Named): boolean {
  if (asked.resource !== 'tools') return false
  const sameProject = held.project === undefined || held.project === asked.project
  if (held.resource === 'projects' || held.resource === '*')
    if (sameProject && asked.project !== undefined && coversName(held.name, asked.project)) return true
  if (held.resource !== 'servers' || !sameProject) return false
  const server = held.name
  return server === undefined || (!/[*?]/.test(server) && asked.name?.startsWith(`${server}__`) === true)
}

/** A `*` in `held` stands for a `*` in `asked` as for any other text, but a `?` stands for one character only. */
function coversName(heldName: string | undefined, askedName: string | undefined): boolean {
  const [held, asked] = [givenName(heldName), givenName(askedName)]
  if (held === undefined) return true
  if (asked === undefined) return false
  if (held.includes('?') && /[*?]/.test(asked)) return held === asked
  return compileGlobs([held])(asked)
}
