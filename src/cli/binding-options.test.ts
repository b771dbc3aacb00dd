import { expect, test } from 'vitest'
import { ROLES, EVERYTHING } from '../kinds/binding.ts'
import { ADMIN_BINDINGS, BINDING_FORM, parseBinding, parseSubjectOption } from './binding-options.ts'
import type { CliFailure } from './failure.ts'

test.each([
  ['role:view,resource:servers', { role: 'view', resource: 'servers' }],
  ['resource:servers,role:view', { role: 'view', resource: 'servers' }],
  [' role: view , resource: * ', { role: 'view', resource: '*' }],
  [
    'role:run,resource:tools,name:github__*,project:demo',
    { role: 'run', resource: 'tools', name: 'github__*', project: 'demo' },
  ],
  ['role:view,resource:users,name:a:b', { role: 'view', resource: 'users', name: 'a:b' }],
  ['action:logs', { role: 'run', action: 'logs' }],
  ['role:run,action:*', { role: 'run', action: '*' }],
])('%s is a right', (text, binding) => expect(parseBinding('--bind', text)).toEqual(binding))

test.each([
  ['', 'a part is not in the form key:value'],
  ['view', 'a part is not in the form key:value'],
  ['role=view,resource=servers', 'a part is not in the form key:value'],
  ['role:view,,resource:servers', 'a part is not in the form key:value'],
  ['role:,resource:servers', 'a part is not in the form key:value'],
  ['rôle:view,resource:servers', 'a part is none of role, resource, name, project, action'],
  ['role:view,resources:servers', 'a part is none of role, resource, name, project, action'],
  ['role:view,role:edit,resource:x', 'role is given twice'],
  ['role:view', 'role and resource are needed, or action'],
  ['resource:servers', 'role and resource are needed, or action'],
  ['role:admin,resource:servers', 'the role is none of view, create, edit, delete, run'],
  ['role:edit,action:logs', 'the role of an action is run; leave it out'],
  ['action:logs,name:x', 'an action has no name'],
  ['action:logs,project:x', 'an action has no project'],
])('%j says what is wrong, and how to write it', (text, message) => {
  const { body } = thrownBy(() => parseBinding('--bind', text))
  expect(body).toMatchObject({
    code: 'invalid',
    message: `--bind: ${message}`,
    hint: `write: --bind ${BINDING_FORM}`,
  })
})

test.each([
  ['User:ada', { kind: 'User', name: 'ada' }],
  ['User:ada@example.com', { kind: 'User', name: 'ada@example.com' }],
  ['Token:demo/laptop', { kind: 'Token', name: 'laptop', project: 'demo' }],
])('%s is a subject', (text, subject) => expect(parseSubjectOption('--subject', text)).toEqual(subject))

test.each(['', 'ada', 'User:', ':ada', 'Token:laptop', 'User:demo/ada', 'Token:a/b/c', 'Token:/x'])(
  '%j is none, and the message says how to write one',
  (text) =>
    expect(thrownBy(() => parseSubjectOption('--subject', text)).body.hint).toContain('Token:PROJECT/NAME'),
)

test('an administrator holds what the kinds say that one holds', () => {
  expect(ADMIN_BINDINGS).toEqual(EVERYTHING)
  const wrong = thrownBy(() => parseBinding('--bind', 'role:x,resource:y')).body.message
  expect(wrong).toContain(ROLES.join(', '))
})

function thrownBy(work: () => unknown): CliFailure {
  try {
    work()
  } catch (error) {
    return error as CliFailure
  }
  throw new Error('nothing was thrown')
}
