import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { usage } from '../failure.ts'
import { readNewPassword } from '../login/new-password.ts'

interface Me {
  readonly kind: string
  readonly name: string
}

interface UserShown {
  readonly status: { readonly password?: boolean }
}

export const setPassword = defineCommand({
  arguments: ['[name]'],
  complete: [{ namesOf: 'users' }],
  options: {},
  about:
    'Sets your own password, for which the present one is asked first, or that of another user, whom you may edit and whose rights you have yourself. All sign-ins of the user end, but the one that is used here. On standard input it is one line; for your own, the present password and then the new one.',
  examples: [
    'castellan set-password',
    'castellan set-password ada',
    'pass show castellan/ada | castellan set-password ada',
  ],
  async run({ args: [given], target, context }) {
    const me = JSON.parse(await callApi(target(), ['auth', 'me'])) as Me
    const isOwn = me.kind === 'user' && (given === undefined || given === me.name)
    const name = given ?? (isOwn ? me.name : undefined)
    if (name === undefined)
      throw usage('you are not signed in as a user', 'name one: castellan set-password NAME')
    const wantsCurrent = isOwn && (await hasPassword(name))
    const { current, password } = await readNewPassword(context, wantsCurrent)
    const body = jsonBody({ password, current })
    await callApi(target(), ['users', name, 'password'], { method: 'POST', body })
    printLines(context.stdout, [`password of user/${name} set; its other sign-ins have ended`])
    return 0

    /** Not everybody may look at users, themselves included; then the daemon says what it wants. */
    async function hasPassword(user: string): Promise<boolean> {
      try {
        const { status } = JSON.parse(await callApi(target(), ['users', user])) as UserShown
        return status.password === true
      } catch {
        return true
      }
    }
  },
})
