import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'

export const grantRevoke = defineCommand({
  arguments: ['<name>'],
  options: {},
  about: 'Also at the authorization server, where that can be told; the answer says whether it could.',
  examples: ['castellan grant revoke oauth:notion'],
  async run({ args: [name = ''], target, context }) {
    const answer = await callApi(target(), ['grants', name], { method: 'DELETE' })
    const { revoked } = JSON.parse(answer) as { readonly revoked: boolean }
    printLines(context.stdout, [`${name} forgotten`])
    if (!revoked)
      printLines(context.stderr, [
        'the authorization server was not told: it has no way for that, or refused; remove the access there',
      ])
    return 0
  },
})
