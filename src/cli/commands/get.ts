import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand, flag, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import * as options from '../options.ts'
import { printList } from '../print-list.ts'
import { parseReference } from '../reference.ts'

const CHUNK = '500'

/** The daemon knows the kinds and renders; this verb only asks and prints. */
export const get = defineCommand({
  arguments: ['<kind>', '[name]'],
  complete: ['kind', 'name'],
  options: {
    output: options.output,
    project: options.project,
    allProjects: options.allProjects,
    selector: text('-l, --selector <labels>', 'only with these labels: team=blue,env!=prod,!old'),
    fieldSelector: text(
      '--field-selector <fields>',
      'only with these values: metadata.name=x,spec.transport=http',
    ),
    watch: flag('-w, --watch', 'go on with what changes, until it is stopped'),
    chunkSize: text(
      '--chunk-size <number>',
      `how many to ask for at a time; 0 for all at once (default ${CHUNK})`,
    ),
  },
  about: 'The kind may be written as its kind, plural or short name; kind/name works too.',
  examples: [
    'castellan get servers',
    'castellan get server everything -o yaml',
    'castellan get tokens -p demo -o wide',
    'castellan get tokens --all-projects',
    'castellan get projects -l team=blue -w',
  ],
  async run({ args, options: given, target, context }) {
    const { output = 'table', project, selector, fieldSelector, watch, chunkSize = CHUNK } = given
    const path = parseReference(args)
    const [kind, name] = path
    if (!/^\d{1,5}$/.test(chunkSize)) throw usage('--chunk-size is not a number', 'write: --chunk-size 500')
    if (name !== undefined && (selector !== undefined || fieldSelector !== undefined))
      throw usage('a name and a selector cannot be combined', 'give one of them')
    if (name !== undefined && !watch) {
      printText(context.stdout, await callApi(target(), path, { query: { output, project } }))
      return 0
    }
    const byName = name === undefined ? fieldSelector : `metadata.name=${name}`
    const query = { output, project, labelSelector: selector, fieldSelector: byName }
    if (watch) {
      const { printWatch } = await import('../print-watch.ts')
      await printWatch(target(), { path: [kind], query }, context)
      return 0
    }
    const limit = chunkSize === '0' ? undefined : chunkSize
    await printList(target(), { path, query: { ...query, limit } }, context.stdout)
    return 0
  },
})
