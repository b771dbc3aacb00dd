import { callApi } from '../api.ts'
import { askedRight } from '../asked-right.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, flag, text } from '../define-command.ts'
import { project } from '../options.ts'

export const authCanI = defineCommand({
  arguments: ['<verb>', '[kind]', '[name]'],
  complete: [['view', 'create', 'edit', 'delete', 'run'], 'kind', 'name'],
  options: {
    project,
    as: text('--as <subject>', 'whether this one may, such as User:ada or Token:demo/laptop'),
    explain: flag('--explain', 'say what gives it, and through which group; or why nothing does'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  globals: ['context', 'home'],
  about:
    'Verbs are view, create, edit, delete and run; run uses a project, a server or a tool. Exit status: 0 yes, 1 no.',
  examples: [
    'castellan auth can-i edit server github',
    'castellan auth can-i run tools github__create_issue -p demo --explain',
    'castellan auth can-i create tokens -p demo --as User:ada',
    'castellan auth can-i action:logs',
  ],
  async run({ args, options: { project, as: subject, explain, output }, target, context }) {
    const query = Object.assign({ project, subject }, askedRight(args))
    const answer = JSON.parse(await callApi(target(), ['auth', 'can-i'], { query })) as Answer
    printLines(context.stdout, [
      output === 'json' ? JSON.stringify(answer, null, 2) : lineOf(answer, explain),
    ])
    return answer.allowed ? 0 : 1
  },
})

interface Answer {
  readonly allowed: boolean
  readonly by?: { readonly binding: string; readonly from: string; readonly via: string }
  readonly reason?: string
}

function lineOf({ allowed, by, reason }: Answer, explain: boolean): string {
  const word = allowed ? 'yes' : 'no'
  if (!explain) return word
  if (by === undefined) return `${word}    ${reason ?? ''}`.trimEnd()
  const through = by.via.startsWith('Group:') ? `, through ${by.via}` : ''
  return `${word}   ${by.binding} of ${by.from}${through}`
}
