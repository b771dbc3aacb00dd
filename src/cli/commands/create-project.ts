import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand, list, text } from '../define-command.ts'

export const createProject = defineCommand({
  arguments: ['<name>'],
  options: {
    server: list(
      '--server <name>',
      'a server behind its endpoint; repeatable, in the order of their tools',
      'servers',
    ),
    allow: list('--allow-tool <glob>', 'offer only tools that match; repeatable'),
    deny: list('--deny-tool <glob>', 'never offer tools that match; repeatable'),
    instructions: text('--instructions <text>', 'given to clients when they connect'),
    description: text('--description <text>', 'for people'),
  },
  examples: ['castellan create project demo --server everything --server memory'],
  async run({ args: [name = ''], options, target, context }) {
    const { server, allow, deny, instructions, description } = options
    const spec = {
      servers: server,
      ...(allow.length + deny.length === 0
        ? {}
        : { tools: { ...(allow.length === 0 ? {} : { allow }), ...(deny.length === 0 ? {} : { deny }) } }),
      ...(instructions === undefined ? {} : { instructions }),
      ...(description === undefined ? {} : { description }),
    }
    const manifest = { apiVersion: 'castellan/v1', kind: 'Project', metadata: { name }, spec }
    await callApi(target(), ['projects'], { method: 'POST', body: jsonBody(manifest) })
    printLines(context.stdout, [`project/${name} created`])
    return 0
  },
})
