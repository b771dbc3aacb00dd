import type { Binding } from '../kinds/binding.ts'
import type { SubjectKey } from '../kinds/subject.ts'
import type { Places } from './permission.ts'
import type { TokenOwner } from './principal.ts'

/** The rights of one RoleBinding. */
export interface NamedRules {
  /** Its name. */
  readonly name: string
  readonly rules: readonly Binding[]
}

/** Who is given what, and who belongs to whom: immutable; another object whenever anything in it has changed. */
export interface AccessIndex {
  /** RoleBindings that name the subject. */
  readonly bindingsOf: (subject: SubjectKey) => readonly NamedRules[]
  /** Names of the Groups that name it as a member. */
  readonly groupsOf: (member: SubjectKey) => readonly string[]
  /** Names of the Groups that take in whoever's provider says this. */
  readonly groupsByClaim: (claim: string) => readonly string[]
}

/** A User or a ServiceAccount, as far as rights go. */
export interface OwnerEntry {
  readonly uid: string
  readonly disabled: boolean
  /** Groups that the identity provider named at the last sign-in. */
  readonly claims: readonly string[]
}

export interface TokenRules {
  readonly name: string
  readonly project: string
  readonly owner: TokenOwner | undefined
  /** Absent: the use of its project. */
  readonly bindings: readonly Binding[] | undefined
}

/** What the authorizer has to know, at one moment. The snapshot has it in memory. */
export interface AccessView extends Places {
  readonly index: AccessIndex
  /** By uid. */
  readonly token: (uid: string) => TokenRules | undefined
  readonly tokenNamed: (project: string, name: string) => TokenRules | undefined
  readonly owner: (owner: TokenOwner) => OwnerEntry | undefined
}
