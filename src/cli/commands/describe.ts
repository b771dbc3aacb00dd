import { callApi } from '../api.ts'
import { printLines, printText } from '../context.ts'
import { defineCommand, flag } from '../define-command.ts'
import { usage } from '../failure.ts'
import * as options from '../options.ts'
import { parseReference } from '../reference.ts'

export const describe = defineCommand({
  arguments: ['<kind>', '[name]'],
  complete: ['kind', 'name'],
  options: {
    project: options.project,
    showValues: flag('--show-values', 'of a secret: its values too, which needs a right of its own'),
  },
  about: 'Showing the values of a secret is on the record, with who did it.',
  examples: [
    'castellan describe server everything',
    'castellan describe token laptop -p demo',
    'castellan describe secret github --show-values',
  ],
  async run({ args, options: { project, showValues }, target, context }) {
    const path = parseReference(args)
    const [kind, name] = path
    if (name === undefined) throw usage('a name is missing', 'castellan get KIND lists the names')
    if (showValues && !/^sec(?:rets?)?$/i.test(kind))
      throw usage('only secrets have values', 'write: castellan describe secret NAME --show-values')
    const described = await callApi(target(), path, { query: { output: 'describe', project } })
    const values = showValues ? await callApi(target(), ['secrets', name, 'values']) : undefined
    printText(context.stdout, described)
    if (values !== undefined) printLines(context.stdout, linesOf(values))
    return 0
  },
})

/** One line a key; a value with lines of its own stands below its key, indented. */
function linesOf(answer: string): readonly string[] {
  const { values, unread = {} } = JSON.parse(answer) as {
    readonly values: Readonly<Record<string, string>>
    readonly unread?: Readonly<Record<string, string>>
  }
  const textOf = (value: string): string =>
    value.includes('\n') ? `\n    ${value.replaceAll('\n', '\n    ')}` : ` ${value}`
  return [
    'Values:',
    ...Object.entries(values).map(([key, value]) => `  ${key}:${textOf(value)}`),
    ...Object.entries(unread).map(([key, why]) => `  ${key} cannot be read: ${why}`),
  ]
}
