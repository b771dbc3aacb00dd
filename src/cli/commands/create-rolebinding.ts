import { ADMIN_BINDINGS, BINDING_FORM, parseBinding, parseSubjectOption } from '../binding-options.ts'
import { createObject } from '../create-object.ts'
import { defineCommand, flag, list } from '../define-command.ts'
import { usage } from '../failure.ts'

export const createRoleBinding = defineCommand({
  arguments: ['<name>'],
  options: {
    subject: list(
      '--subject <subject>',
      'who is given the rights: User:ada, Group:platform, ServiceAccount:nightly, Token:demo/laptop; repeatable',
    ),
    bindings: list('--roleBindings <binding>', `a right: ${BINDING_FORM}; repeatable`),
    admin: flag('--admin', 'every right there is and will be'),
  },
  about:
    'Roles are view, create, edit (which includes view), delete and run; resource:* is everything, and a name may be a glob. Nobody can give more than they hold.',
  examples: [
    'castellan create rolebinding web --subject Group:web --roleBindings role:view,resource:servers --roleBindings role:run,resource:projects,name:web',
    'castellan create rolebinding operators --subject User:ada --roleBindings action:logs',
    'castellan create rolebinding admins --subject User:ada --admin',
  ],
  run(given) {
    const {
      args: [name = ''],
      options: { subject, bindings, admin },
    } = given
    if (subject.length === 0) throw usage('nobody is given anything', 'add: --subject User:NAME')
    if (bindings.length === 0 && !admin)
      throw usage('no right is given', `add: --roleBindings ${BINDING_FORM}, or --admin`)
    const spec = {
      subjects: subject.map((text) => parseSubjectOption('--subject', text)),
      bindings: [
        ...bindings.map((text) => parseBinding('--roleBindings', text)),
        ...(admin ? ADMIN_BINDINGS : []),
      ],
    }
    return createObject(given, { kind: 'RoleBinding', plural: 'rolebindings', name, spec })
  },
})
