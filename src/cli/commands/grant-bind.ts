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
  options: {
    ...HOLDER_OPTIONS,
    only: flag('--only', 'there, and nowhere else any more (default: there, too)'),
    yes: flag('-y, --yes', 'do not ask'),
  },
  about:
    'Says where a grant may be sent besides. Who controls one of these addresses gets the credential: that is asked once more.',
  examples: [
    'castellan grant bind gitlab https://gitlab.example.com --only',
    'castellan grant bind oauth:notion https://mcp.notion.com --yes',
  ],
  async run({ args: [given = '', ...urls], options, target, context }) {
    const name = grantWord(given)
    const added = readOrigins(urls)
    const query = queryOf(holderOf(options))
    if (!options.yes && !isTerminal(context)) throw usage('there is no terminal to ask on', 'add --yes')
    const at = target()
    const { origins: before } = JSON.parse(await callApi(at, ['grants', name], { query })) as Bound
    const origins = options.only ? added : [...new Set([...before, ...added])]
    const words = `${origins.join(', ')}, and nowhere else`
    if (!options.yes && !(await askYes(`Send ${name} to ${words}?`, context)))
      throw unavailable('nothing was changed', 'castellan grant show says where it is sent')
    await callApi(at, ['grants', name, 'bind'], { method: 'POST', query, body: jsonBody({ origins }) })
    printLines(context.stdout, [`${name} is sent to ${words}`])
    return 0
  },
})

interface Bound {
  readonly origins: readonly string[]
}
