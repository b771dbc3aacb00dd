import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { alignColumns } from '../table.ts'

export const explain = defineCommand({
  arguments: ['[kind]'],
  complete: ['kind'],
  options: {},
  about: 'A path below the kind leads to one field. Without a kind, all kinds are listed.',
  examples: ['castellan explain server', 'castellan explain server.spec.env', 'castellan explain'],
  async run({ args: [given], target, context }) {
    if (given === undefined) {
      printText(context.stdout, kindTable(await callApi(target(), ['kinds'])))
      return 0
    }
    const [kind = '', ...fields] = given.split('.')
    const path = fields.length === 0 ? undefined : fields.join('.')
    printText(context.stdout, await callApi(target(), ['explain', kind], { query: { path } }))
    return 0
  },
})

function kindTable(json: string): string {
  const kinds = JSON.parse(json) as readonly { kind: string; short: readonly string[]; summary: string }[]
  return alignColumns(kinds.map(({ kind, short, summary }) => [kind, short.join(','), summary])).join('\n')
}
