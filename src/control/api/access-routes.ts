import type { Authorizer } from '../../access/authorize.ts'
import { subjectsOf } from '../../access/authorize.ts'
import type { HeldRule } from '../../access/held-rule.ts'
import type { Permission } from '../../access/permission.ts'
import type { Principal } from '../../access/principal.ts'
import { isOperationName, OPERATIONS, RESOURCES } from '../../access/resources.ts'
import type { Rights } from '../../access/rights.ts'
import { bindingText, EVERYTHING, ROLES } from '../../kinds/binding.ts'
import { findKind } from '../../kinds/registry.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'
import { parseSubject, subjectKey, SUBJECT_KINDS, type Subject } from '../../kinds/subject.ts'
import { Fault } from '../../lib/fault.ts'
import { isUid } from '../../lib/id.ts'
import { nearest } from '../../lib/nearest.ts'
import { createPause } from '../pause.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { json, oneOf, type Call, type FixedRoute } from './route.ts'

export interface AccessRouteDeps {
  readonly authorizer: Authorizer
  readonly snapshot: Pick<SnapshotSource, 'state' | 'access'>
}

const JSON_ANSWER = { status: 200, types: ['application/json'] } as const
const ASKED = {
  verb: `One of ${ROLES.join(', ')}.`,
  kind: 'A kind, or another word that bindings know: tools, audit …',
  name: 'Of the object: a name or a uid. Of a tool: {server}__{tool}.',
  project: 'The project, for kinds that belong to one, and for tools.',
  operation: 'An operation, in place of verb and kind: logs, backup …',
} as const
const SUBJECT = 'Whose, in place of your own: User:ada, Group:platform. Needs view rolebindings.'

/** Who somebody is, what they may do, and who may do something. */
export const accessRoutes = (deps: AccessRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/auth/me',
    summary: 'Who the caller is.',
    permission: { use: 'signed-in' },
    answer: JSON_ANSWER,
    handle: ({ principal }) => json(whoAmI(deps, principal)),
  },
  {
    method: 'GET',
    path: '/api/v1/auth/can-i',
    summary: 'Whether the caller, or a subject, may do something, and what gives it.',
    query: { ...ASKED, subject: SUBJECT },
    permission: { use: 'signed-in' },
    answer: JSON_ANSWER,
    handle: (call) => json(canI(deps, call)),
  },
  {
    method: 'GET',
    path: '/api/v1/auth/who-can',
    summary: 'Everybody who may do something, and what gives it to them.',
    query: ASKED,
    permission: { verb: 'view', kind: 'rolebindings' },
    answer: JSON_ANSWER,
    handle: async ({ query }) => json({ items: await whoCan(deps, permissionAsked(deps, query)) }),
  },
  {
    method: 'GET',
    path: '/api/v1/auth/rights',
    summary: 'All that the caller, or a subject, holds, and what gives it.',
    query: { subject: SUBJECT },
    permission: { use: 'signed-in' },
    answer: JSON_ANSWER,
    handle: (call) =>
      json({
        items: rightsAsked(deps, call).rules.map(shownRule),
        ...(call.principal.kind === 'token' ? { project: call.principal.project } : {}),
      }),
  },
]

const shownRule = ({ rule, from, via }: HeldRule): unknown => ({
  binding: bindingText(rule),
  rule,
  from,
  via,
})

function whoAmI({ authorizer, snapshot }: AccessRouteDeps, principal: Principal): unknown {
  const rights = authorizer.rights(principal)
  const administrator = EVERYTHING.every((binding) => rights.covers(binding))
  const { kind, name } = principal
  if (principal.kind === 'local-admin') return { kind, name, administrator, groups: [] }
  const subject = subjectOf(principal)
  const groups = subjectsOf(snapshot.access(), subject)
    .filter((key) => key.startsWith('Group:') && key !== subjectKey(subject))
    .map((key) => key.slice('Group:'.length))
  const who = { kind, name, subject: subjectKey(subject), administrator, groups }
  if (principal.kind === 'token') {
    const expiresAtMs = snapshot.state().credentials.get(principal.digest)?.expiresAtMs
    const expiresAt = expiresAtMs === undefined ? undefined : new Date(expiresAtMs).toISOString()
    const owner =
      principal.owner === undefined ? undefined : `${principal.owner.kind}:${principal.owner.name}`
    return { ...who, project: principal.project, owner, expiresAt }
  }
  if (principal.kind === 'subject') return { ...who, actor: principal.actor.name }
  const signIn = snapshot.state().byUid.get(principal.signIn)?.resource
  const { method, expiresAt } = (signIn?.spec ?? {}) as Partial<SignInSpec>
  return { ...who, signIn: signIn?.metadata.name, method, expiresAt }
}

function subjectOf(principal: Exclude<Principal, { kind: 'local-admin' }>): Subject {
  if (principal.kind === 'subject') return principal.subject
  const { name } = principal
  return principal.kind === 'user'
    ? { kind: 'User', name }
    : { kind: 'Token', name, project: principal.project }
}

function canI(deps: AccessRouteDeps, call: Call): unknown {
  const permission = permissionAsked(deps, call.query)
  const decision = rightsAsked(deps, call).decide(permission, deps.snapshot.access())
  return decision.allowed
    ? { allowed: true, by: shownRule(decision.by) }
    : { allowed: false, reason: REASONS[decision.reason] }
}

const REASONS = {
  'no-right': 'no binding gives it',
  'other-project': 'a token does nothing outside of its project',
  owner: 'the token could, but its owner has no such right',
} as const

function rightsAsked({ authorizer }: AccessRouteDeps, { principal, access, query }: Call): Rights {
  const asked = query['subject']
  if (asked === undefined) return authorizer.rights(principal)
  access.demand({ verb: 'view', kind: 'rolebindings' })
  const subject = parseSubject(asked)
  if (subject !== undefined) return authorizer.rightsOf(subject)
  throw new Fault('invalid', {
    problems: [`subject: must be one of ${SUBJECT_KINDS.join(', ')}, a colon and a name, such as User:ada`],
    hint: 'a token is named with its project: Token:demo/laptop',
  })
}

/** @throws Fault `invalid`, with the nearest word where there is one */
function permissionAsked({ snapshot }: AccessRouteDeps, query: Call['query']): Permission {
  const { operation, project } = query
  if (operation !== undefined) {
    if (isOperationName(operation)) return { operation, project }
    throw unknownWord('operation', operation, Object.keys(OPERATIONS))
  }
  const verb = oneOf('verb', query['verb'], ROLES)
  const kind = findKind(query['kind'] ?? '')?.plural ?? query['kind'] ?? ''
  // People say "run logs"; no kind has the name of an operation.
  if (verb === 'run' && isOperationName(kind)) return { operation: kind, project }
  if (!RESOURCES.includes(kind)) throw unknownWord('kind', kind, RESOURCES)
  return { verb, kind, ...objectAsked(snapshot, kind, query) }
}

/** A uid is looked up before anything is decided by it. */
function objectAsked(
  snapshot: AccessRouteDeps['snapshot'],
  kind: string,
  { name, project }: Call['query'],
): { readonly name?: string | undefined; readonly project?: string | undefined; readonly server?: string } {
  if (kind === 'tools') return { name, project, server: name?.split('__', 1)[0] ?? '' }
  const found = name !== undefined && isUid(name) ? snapshot.state().byUid.get(name) : undefined
  if (found?.definition.plural !== kind) return { name, project }
  return { name: found.resource.metadata.name, project: found.project === '' ? undefined : found.project }
}

function unknownWord(field: string, word: string, known: readonly string[]): Fault {
  const meant = nearest(word, known)
  return new Fault('invalid', {
    problems: [`${field}: there is no such ${field}`],
    hint: meant === undefined ? `there are ${known.join(', ')}` : `did you mean ${meant}?`,
  })
}

/** Asked of each User, ServiceAccount, Group and Token that there is, and of those that bindings name. */
async function whoCan(deps: AccessRouteDeps, permission: Permission): Promise<readonly unknown[]> {
  const { authorizer, snapshot } = deps
  const pause = createPause()
  const items: unknown[] = []
  for (const subject of subjectsIn(snapshot.state())) {
    await pause()
    const decision = authorizer.rightsOf(subject).decide(permission, snapshot.access())
    if (!decision.allowed) continue
    const { binding, from, via } = shownRule(decision.by) as Record<string, unknown>
    items.push({ subject: subjectKey(subject), binding, from, via })
  }
  return items
}

function* subjectsIn(state: ReturnType<SnapshotSource['state']>): Generator<Subject> {
  const seen = new Set<string>()
  for (const [key] of state.access.tables.bindings.entries()) {
    const subject = parseSubject(key)
    if (subject === undefined) continue
    seen.add(key)
    yield subject
  }
  for (const kind of SUBJECT_KINDS) {
    for (const { resource, project } of state.resources.get(kind)?.values() ?? []) {
      const { name } = resource.metadata
      const subject: Subject = kind === 'Token' ? { kind, name, project } : { kind, name }
      if (!seen.has(subjectKey(subject))) yield subject
    }
  }
}
