import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { createObject } from '../create-object.ts'
import { defineCommand, flag, text } from '../define-command.ts'
import { readNewPassword } from '../login/new-password.ts'

export const createUser = defineCommand({
  arguments: ['<name>'],
  options: {
    displayName: text('--display-name <text>', 'for people'),
    email: text('--email <address>', 'for people; nothing is decided by it'),
    password: flag('--password', 'ask for a password, without showing it'),
    passwordStdin: flag('--password-stdin', 'take the first line of standard input as the password'),
  },
  about:
    'A user without a password signs in at an identity provider, or not at all. What a user may do is said by role bindings and groups.',
  examples: [
    'castellan create user ada --password',
    'pass show castellan/ada | castellan create user ada --display-name "Ada Lovelace" --password-stdin',
    'castellan create rolebinding ada --subject User:ada --roleBindings role:view,resource:servers',
  ],
  async run(given) {
    const {
      args: [name = ''],
      options: { displayName, email, password, passwordStdin },
      target,
      context,
    } = given
    // Asked for before anything is made: whoever gives up leaves nothing behind.
    const typed = password || passwordStdin ? await readNewPassword(context, false) : undefined
    await createObject(given, { kind: 'User', plural: 'users', name, spec: { displayName, email } })
    if (typed === undefined) return 0
    const body = jsonBody({ password: typed.password })
    await callApi(target(), ['users', name, 'password'], { method: 'POST', body })
    printLines(context.stdout, [`password of user/${name} set`])
    return 0
  },
})
