import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { usage } from '../failure.ts'
import { project } from '../options.ts'

export const revokeToken = defineCommand({
  arguments: ['<name>'],
  complete: [{ namesOf: 'tokens' }],
  options: { project },
  about:
    'It is refused everywhere at once, and what it had open ends. The object stays, so that the record can be read with it; castellan delete token removes that, too.',
  examples: ['castellan revoke token laptop -p demo'],
  async run({ args: [name = ''], options: { project }, target, context }) {
    if (project === undefined)
      throw usage('a token belongs to a project', 'add: -p PROJECT; castellan get projects lists them')
    await callApi(target(), ['tokens', name], {
      method: 'PATCH',
      query: { project },
      body: jsonBody({ spec: { revoked: true } }),
    })
    printLines(context.stdout, [`token/${name} revoked (project ${project})`])
    return 0
  },
})
