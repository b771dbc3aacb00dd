import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { grantWord } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf, queryOf } from '../granting/holder-options.ts'

export const grantRefresh = defineCommand({
  arguments: ['<grant>'],
  complete: [{ namesOf: 'grants' }],
  options: HOLDER_OPTIONS,
  about: 'Nobody has to: a grant that can be renewed is renewed before it ends. This tries it now.',
  examples: ['castellan grant refresh oauth:notion'],
  async run({ args: [given = ''], options, target, context }) {
    const name = grantWord(given)
    await callApi(target(), ['grants', name, 'refresh'], {
      method: 'POST',
      query: queryOf(holderOf(options)),
    })
    printLines(context.stdout, [`${name} renewed`])
    return 0
  },
})
