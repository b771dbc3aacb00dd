import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import * as options from '../options.ts'
import { parseReference } from '../reference.ts'

/** The daemon knows the kinds and renders; this verb only asks and prints. */
export const get = defineCommand({
  arguments: ['<kind>', '[name]'],
  complete: ['kind', 'name'],
  options: { output: options.output, project: options.project },
  about: 'The kind may be written as its kind, plural or short name; kind/name works too.',
  examples: [
    'castellan get servers',
    'castellan get server everything -o yaml',
    'castellan get tokens -p demo -o wide',
  ],
  async run({ args, options: { output = 'table', project }, target, context }) {
    const path = parseReference(args)
    printText(context.stdout, await callApi(target(), path, { query: { output, project } }))
    return 0
  },
})
