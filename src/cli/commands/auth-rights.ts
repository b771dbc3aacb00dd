import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, text } from '../define-command.ts'
import { alignColumns } from '../table.ts'

export const authRights = defineCommand({
  options: {
    as: text('--as <subject>', 'those of this one, such as User:ada or Group:platform'),
    output: choice('-o, --output <format>', 'how to print it', ['table', 'json']),
  },
  globals: ['context', 'home'],
  about: 'Direct ones, and those that come through groups.',
  examples: ['castellan auth rights', 'castellan auth rights --as Group:platform'],
  async run({ options: { as: subject, output }, target, context }) {
    const body = await callApi(target(), ['auth', 'rights'], { query: { subject } })
    const answer = JSON.parse(body) as Answer
    const { items, project } = answer
    if (output === 'json') printLines(context.stdout, [JSON.stringify(answer, null, 2)])
    else {
      if (project !== undefined)
        printLines(context.stderr, [`in the project ${project} only, and never more than its owner may`])
      if (items.length === 0) printLines(context.stderr, ['none; castellan create rolebinding gives some'])
      else printLines(context.stdout, tableOf(items))
    }
    return 0
  },
})

interface Answer {
  readonly items: readonly { readonly binding: string; readonly from: string; readonly via: string }[]
  readonly project?: string
}

const tableOf = (items: Answer['items']): string[] =>
  alignColumns([
    ['BINDING', 'FROM', 'THROUGH'],
    ...items.map(({ binding, from, via }) => [binding, from, via.startsWith('Group:') ? via : '']),
  ])
