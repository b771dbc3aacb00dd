import { usage } from './failure.ts'

/** A right as the API takes it; what its words mean is for the daemon to say, which knows them. */
export type BindingInput =
  | { readonly role: string; readonly resource: string; readonly name?: string; readonly project?: string }
  | { readonly role: 'run'; readonly action: string }

export interface SubjectInput {
  readonly kind: string
  readonly name: string
  readonly project?: string
}

export const BINDING_FORM = 'role:view,resource:servers[,name:x][,project:p], or action:logs'
const SUBJECT_FORM = 'User:ada, Group:platform, ServiceAccount:nightly or Token:PROJECT/NAME'

const ROLES = ['view', 'create', 'edit', 'delete', 'run']
const PARTS = ['role', 'resource', 'name', 'project', 'action']

/**
 * One right as it is written in an option: `role:view,resource:servers,name:x,project:p` or `action:logs`.
 *
 * @param option for messages: `--bind`
 * @throws CliFailure that says what the form is; it repeats nothing of what was given
 */
export function parseBinding(option: string, text: string): BindingInput {
  const wrong = (what: string): Error => usage(`${option}: ${what}`, `write: ${option} ${BINDING_FORM}`)
  const parts = new Map<string, string>()
  for (const part of text.split(',')) {
    const colon = part.indexOf(':')
    const key = part.slice(0, Math.max(colon, 0)).trim()
    const value = part.slice(colon + 1).trim()
    if (colon <= 0 || value === '') throw wrong('a part is not in the form key:value')
    if (!PARTS.includes(key)) throw wrong(`a part is none of ${PARTS.join(', ')}`)
    if (parts.has(key)) throw wrong(`${key} is given twice`)
    parts.set(key, value)
  }
  const action = parts.get('action')
  return action === undefined ? resourceBinding(parts, wrong) : operationBinding(action, parts, wrong)
}

type Wrong = (what: string) => Error

function resourceBinding(parts: ReadonlyMap<string, string>, wrong: Wrong): BindingInput {
  const role = parts.get('role')
  const resource = parts.get('resource')
  if (role === undefined || resource === undefined) throw wrong('role and resource are needed, or action')
  if (!ROLES.includes(role)) throw wrong(`the role is none of ${ROLES.join(', ')}`)
  const name = parts.get('name')
  const project = parts.get('project')
  return {
    role,
    resource,
    ...(name === undefined ? {} : { name }),
    ...(project === undefined ? {} : { project }),
  }
}

/** An operation is always run, on everything. */
function operationBinding(action: string, parts: ReadonlyMap<string, string>, wrong: Wrong): BindingInput {
  if ((parts.get('role') ?? 'run') !== 'run') throw wrong('the role of an action is run; leave it out')
  const other = ['resource', 'name', 'project'].find((key) => parts.has(key))
  if (other !== undefined) throw wrong(`an action has no ${other}`)
  return { role: 'run', action }
}

/**
 * Who a right is given to, or who belongs to a group: `User:ada`, `Token:demo/laptop`.
 *
 * @throws CliFailure that says what the form is
 */
export function parseSubjectOption(option: string, text: string): SubjectInput {
  const [, kind = '', project, name = ''] = /^([A-Za-z]+):(?:([^/]+)\/)?([^/]+)$/.exec(text) ?? []
  if (name === '' || (kind === 'Token') !== (project !== undefined))
    throw usage(`${option} is not in its form`, `write: ${option} ${SUBJECT_FORM}`)
  return { kind, name, ...(project === undefined ? {} : { project }) }
}

/** What an administrator holds: every role on everything, and every operation, those of later versions too. */
export const ADMIN_BINDINGS: readonly BindingInput[] = [
  ...ROLES.map((role) => ({ role, resource: '*' })),
  { role: 'run', action: '*' },
]
