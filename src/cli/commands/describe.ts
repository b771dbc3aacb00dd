import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { usage } from '../failure.ts'
import * as options from '../options.ts'
import { parseReference } from '../reference.ts'

export const describe = defineCommand({
  arguments: ['<kind>', '[name]'],
  complete: ['kind', 'name'],
  options: { project: options.project },
  examples: ['castellan describe server everything', 'castellan describe token laptop -p demo'],
  async run({ args, options: { project }, target, context }) {
    const path = parseReference(args)
    if (path.length === 1) throw usage('a name is missing', 'castellan get with that kind lists the names')
    printText(context.stdout, await callApi(target(), path, { query: { output: 'describe', project } }))
    return 0
  },
})
