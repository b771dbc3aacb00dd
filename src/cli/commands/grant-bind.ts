import { callApi, jsonBody } from '../api.ts'
import { askYes, isTerminal } from '../ask.ts'
import { printLines } from '../context.ts'
import { defineCommand, flag } from '../define-command.ts'
import { unavailable, usage } from '../failure.ts'
import { grantWord } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf, queryOf } from '../granting/holder-options.ts'
import { readOrigins } from '../granting/read-origins.ts'

export const grantBind = defineCommand({
  arguments: ['<grant>', '<origins...>'],
  complete: [{ namesOf: 'grants' }],
  options: { ...HOLDER_OPTIONS, yes: flag('-y, --yes', 'do not ask') },
  about:
    'Says where a grant may be sent from here on, in place of what was said before. Who controls one of these addresses gets the credential: that is asked once more.',
  examples: [
    'castellan grant bind gitlab https://gitlab.example.com',
    'castellan grant bind oauth:notion https://mcp.notion.com --yes',
  ],
  async run({ args: [given = '', ...urls], options, target, context }) {
    const name = grantWord(given)
    const origins = readOrigins(urls)
    const holder = holderOf(options)
    if (!options.yes) {
      if (!isTerminal(context)) throw usage('there is no terminal to ask on', 'add --yes')
      if (!(await askYes(`Send ${name} to ${origins.join(', ')}, and nowhere else?`, context)))
        throw unavailable('nothing was changed', 'castellan grant show says where it is sent')
    }
    const body = jsonBody({ origins })
    await callApi(target(), ['grants', name, 'bind'], { method: 'POST', query: queryOf(holder), body })
    printLines(context.stdout, [`${name} bound to ${origins.join(', ')}`])
    return 0
  },
})
