import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { usage } from '../failure.ts'
import { project } from '../options.ts'

const defineChange = ({ method, done, ...about }: Change) =>
  defineCommand({
    arguments: ['<server>'],
    complete: [{ namesOf: 'servers' }],
    options: { project },
    ...about,
    async run({ args: [server = ''], options: { project }, target, context }) {
      if (project === undefined)
        throw usage('a project is missing', 'add: -p PROJECT; castellan get projects lists them')
      const answer = await callApi(target(), ['projects', project, 'servers', server], { method })
      const { action } = JSON.parse(answer) as { readonly action: string }
      printLines(context.stdout, [
        action === 'unchanged'
          ? `server/${server} was ${done} already (project ${project})`
          : `server/${server} ${done} (project ${project})`,
      ])
      return 0
    },
  })

interface Change {
  readonly method: 'POST' | 'DELETE'
  readonly done: string
  readonly about: string
  readonly examples: readonly string[]
}

export const attach = defineChange({
  method: 'POST',
  done: 'attached',
  about: 'Its tools come after those that the project has already. Clients that are connected are told.',
  examples: ['castellan attach memory -p demo'],
})

export const detach = defineChange({
  method: 'DELETE',
  done: 'detached',
  about: 'The server itself stays, and so do other projects with it. Clients that are connected are told.',
  examples: ['castellan detach memory -p demo'],
})
