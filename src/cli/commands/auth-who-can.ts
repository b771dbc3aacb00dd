import { callApi } from '../api.ts'
import { askedRight } from '../asked-right.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'
import { project } from '../options.ts'
import { alignColumns } from '../table.ts'

export const authWhoCan = defineCommand({
  arguments: ['<verb>', '[kind]', '[name]'],
  complete: [['view', 'create', 'edit', 'delete', 'run'], 'kind', 'name'],
  options: {
    project,
    output: choice('-o, --output <format>', 'how to print it', ['table', 'json', 'name']),
  },
  about:
    'Everybody by name, and of each one binding that gives it. The administrator of the host can do everything and is not listed.',
  examples: [
    'castellan auth who-can edit server github',
    'castellan auth who-can run tools github__create_issue -p demo',
    'castellan auth who-can action:reveal-secret -o name',
  ],
  async run({ args, options: { project, output }, target, context }) {
    const query = Object.assign({ project }, askedRight(args))
    const body = await callApi(target(), ['auth', 'who-can'], { query })
    const { items } = JSON.parse(body) as { readonly items: readonly Who[] }
    if (output === 'json') printLines(context.stdout, [JSON.stringify({ items }, null, 2)])
    else if (output === 'name')
      printLines(
        context.stdout,
        items.map(({ subject }) => subject),
      )
    else if (items.length === 0) printLines(context.stderr, ['nobody but the administrator of the host'])
    else printLines(context.stdout, tableOf(items))
    return 0
  },
})

interface Who {
  readonly subject: string
  readonly binding: string
  readonly from: string
  readonly via: string
}

const tableOf = (items: readonly Who[]): string[] =>
  alignColumns([
    ['SUBJECT', 'BINDING', 'FROM', 'THROUGH'],
    ...items.map(({ subject, binding, from, via }) => [subject, binding, from, via === subject ? '' : via]),
  ])
