import { EVERYTHING, type Binding } from '../kinds/binding.ts'
import { subjectKey, type Subject, type SubjectKey } from '../kinds/subject.ts'
import type { AccessIndex, AccessView, TokenRules } from './access-view.ts'
import type { HeldRule } from './held-rule.ts'
import type { Permission } from './permission.ts'
import type { Principal } from './principal.ts'
import { compileAccess, type ProjectAccess } from './project-access.ts'
import { fenced, rightsOf, tokenRights, type Decision, type Rights } from './rights.ts'

/** The only authorizer (law 2): every surface asks this one, and nothing else decides. */
export interface Authorizer {
  decide(principal: Principal, permission: Permission): Decision
  /** What the principal may do at this moment. Ask again for each request: it changes with every binding. */
  rights(principal: Principal): Rights
  /** The rights that a subject would have, whether or not anybody acts as it. */
  rightsOf(subject: Subject): Rights
  /** What the principal may use of a project over MCP; undefined: nothing. */
  project(principal: Principal, project: string): ProjectAccess | undefined
}

export interface AuthorizerDeps {
  readonly view: () => AccessView
}

/** What is worked out for one principal, for as long as nothing that it came from changes. */
interface Known {
  /** Of which it is known to hold. */
  index: AccessIndex
  readonly sources: readonly unknown[]
  readonly rights: Rights
  readonly projects: Map<string, ProjectAccess | undefined>
}

const ADMIN = rightsOf(
  EVERYTHING.map((rule) => ({ rule, from: 'administrator of the host', via: 'local-admin' })),
)
/** Principals whose rights are kept; beyond that they are worked out again. */
const MAX_KNOWN = 20_000

export function createAuthorizer({ view }: AuthorizerDeps): Authorizer {
  const known = new Map<string, Known>()

  function knownOf(principal: Principal): Known {
    const now = view()
    const found = known.get(principal.key)
    if (found?.index === now.index) return found
    const sources = sourcesOf(now, principal)
    if (found !== undefined && isSame(found.sources, sources)) {
      found.index = now.index
      return found
    }
    if (known.size > MAX_KNOWN) known.clear()
    const rights = principalRights(now, principal)
    const made: Known = { index: now.index, sources, rights, projects: new Map() }
    known.set(principal.key, made)
    return made
  }

  return {
    decide: (principal, permission) => knownOf(principal).rights.decide(permission, view()),
    rights: (principal) => knownOf(principal).rights,
    rightsOf: (subject) => subjectRights(view(), subject),
    project(principal, name) {
      const { rights, projects } = knownOf(principal)
      if (!projects.has(name)) {
        if (projects.size > MAX_KNOWN) projects.clear()
        projects.set(name, compileAccess(rights.toolScopes(name)))
      }
      return projects.get(name)
    },
  }
}

/**
 * All that the rights of a principal are worked out from. A binding that changes leaves the lists of everybody else as
 * they are, so looking whether they are still the same costs a few look-ups, and working out anew a hundred times that.
 */
function sourcesOf(view: AccessView, principal: Principal): readonly unknown[] {
  if (principal.kind === 'local-admin') return []
  if (principal.kind === 'user') return listsOf(view, { kind: 'User', name: principal.name })
  if (principal.kind === 'token') return tokenSources(view, view.token(principal.uid))
  const { subject } = principal
  return subject.kind === 'Token' ? tokenSources(view, tokenNamed(view, subject)) : listsOf(view, subject)
}

function tokenSources(view: AccessView, token: TokenRules | undefined): readonly unknown[] {
  if (token === undefined) return [undefined]
  const { name, project, owner, bindings } = token
  const own = listsOf(view, { kind: 'Token', name, project })
  const owners = owner === undefined ? [] : listsOf(view, owner)
  const said: unknown[] = [name, project, bindings, owner?.kind, owner?.name, own.length]
  return said.concat(own, owners)
}

const listsOf = (view: AccessView, subject: Subject): unknown[] =>
  subjectsOf(view, subject).flatMap((via) => [view.index.groupsOf(via), view.index.bindingsOf(via)] as const)

const isSame = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((source, i) => source === other[i])

function principalRights(view: AccessView, principal: Principal): Rights {
  if (principal.kind === 'local-admin') return ADMIN
  if (principal.kind === 'user') return subjectRights(view, { kind: 'User', name: principal.name })
  if (principal.kind === 'subject') return subjectRights(view, principal.subject)
  const found = view.token(principal.uid)
  return found === undefined ? rightsOf([]) : rightsOfToken(view, found)
}

function subjectRights(view: AccessView, subject: Subject): Rights {
  if (subject.kind !== 'Token') return rightsOf(heldBy(view, subject))
  return rightsOfToken(view, tokenNamed(view, subject))
}

/** One that is yet to be made would have what RoleBindings give it in advance. */
const tokenNamed = (view: AccessView, { name, project = '' }: Subject): TokenRules =>
  view.tokenNamed(project, name) ?? { name, project, owner: undefined, bindings: [] }

function rightsOfToken(view: AccessView, { name, project, owner, bindings }: TokenRules): Rights {
  const label = `Token/${project}/${name}`
  const own = (bindings ?? useOf(project)).map((rule) => ({ rule, from: label, via: label }))
  const given = heldBy(view, { kind: 'Token', name, project })
  const rules = [...own, ...given].map((held) => ({
    rule: fenced(held.rule, project),
    from: held.from,
    via: held.via,
  }))
  return tokenRights(project, rightsOf(rules), owner === undefined ? ADMIN : subjectRights(view, owner))
}

/** What a Token that says nothing else is for. */
export const useOf = (project: string): readonly Binding[] => [
  { role: 'run', resource: 'projects', name: project },
  { role: 'view', resource: 'projects', name: project },
]

/** All that RoleBindings give to a subject, directly and through the groups that it belongs to. */
function heldBy(view: AccessView, subject: Subject): readonly HeldRule[] {
  return subjectsOf(view, subject).flatMap((via) =>
    view.index
      .bindingsOf(via)
      .flatMap(({ name, rules }) => rules.map((rule) => ({ rule, from: `RoleBinding/${name}`, via }))),
  )
}

/**
 * A subject with every Group that it belongs to, through however many others. A circle of groups, which admission
 * refuses, is walked once.
 */
export function subjectsOf(
  { index, owner }: Pick<AccessView, 'index' | 'owner'>,
  subject: Subject,
): readonly SubjectKey[] {
  const claims = subject.kind === 'User' ? owner({ kind: 'User', name: subject.name })?.claims : undefined
  const all = new Set<SubjectKey>([subjectKey(subject)])
  for (const claim of claims ?? []) for (const name of index.groupsByClaim(claim)) all.add(`Group:${name}`)
  // What is added while the set is walked is walked as well.
  for (const member of all) for (const name of index.groupsOf(member)) all.add(`Group:${name}`)
  return [...all]
}
