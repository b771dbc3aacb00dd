import { parseSubjectOption } from '../binding-options.ts'
import { createObject } from '../create-object.ts'
import { defineCommand, list, text } from '../define-command.ts'

export const createGroup = defineCommand({
  arguments: ['<name>'],
  options: {
    member: list(
      '--member <subject>',
      'who belongs to it: User:ada, ServiceAccount:nightly, Group:platform; repeatable',
    ),
    claim: list(
      '--claim <group>',
      'whoever signed in at an identity provider that names this group belongs to it too; repeatable',
    ),
    description: text('--description <text>', 'for people'),
  },
  about: 'Members may be named before they exist. What a group may do is said by role bindings.',
  examples: [
    'castellan create group platform --member User:ada --member ServiceAccount:nightly',
    'castellan create group web --claim company-web',
  ],
  run(given) {
    const {
      args: [name = ''],
      options: { member, claim, description },
    } = given
    const members = member.map((text) => parseSubjectOption('--member', text))
    const spec = { description, members, claims: claim }
    return createObject(given, { kind: 'Group', plural: 'groups', name, spec })
  },
})
