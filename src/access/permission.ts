import type { Role } from '../kinds/binding.ts'
import type { Operation } from './resources.ts'

export type Verb = Role

/**
 * What a caller needs for what it wants to do. Names are resolved ones, never what was typed: a uid, or a name that
 * nobody has, must not reach a rule.
 */
export type Permission = ResourcePermission | OperationPermission

export interface ResourcePermission {
  readonly verb: Verb
  /** Plural of a kind, or one of the other words of `resources.ts`. */
  readonly kind: string
  /** Absent: not about one object (yet). Of a tool: its name on the aggregated endpoint. */
  readonly name?: string | undefined
  /** The project that the object belongs to. */
  readonly project?: string | undefined
  /** Of a tool: the server that offers it. */
  readonly server?: string | undefined
}

/** The rest says what it is done to: no Token does it outside of its project. */
export interface OperationPermission {
  readonly operation: Operation
  readonly kind?: string | undefined
  readonly name?: string | undefined
  readonly project?: string | undefined
}

/** Where objects are: of a kind that does not belong to projects, whether one uses it. */
export interface Places {
  inProject(kind: string, name: string, project: string): boolean
}

/** What may be done to something that belongs to no project because it is used in one: no more than to use it. */
const USE: ReadonlySet<Verb> = new Set(['view', 'run'])

/** Whether something lies in a project. What has no name lies in none. */
export function isIn(
  {
    verb,
    kind,
    name,
    project,
  }: { readonly verb?: Verb | undefined } & Pick<ResourcePermission, 'name' | 'project'> & {
      readonly kind?: string | undefined
    },
  wanted: string,
  places: Places,
): boolean {
  if (kind === 'projects') return name === wanted
  if (project !== undefined) return project === wanted
  if (verb !== undefined && !USE.has(verb)) return false
  return kind !== undefined && name !== undefined && places.inProject(kind, name, wanted)
}
