import { createObject, unlessEmpty } from '../create-object.ts'
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
  run(given) {
    const {
      args: [name = ''],
      options: { server, allow, deny, instructions, description },
    } = given
    const tools = { allow: unlessEmpty(allow), deny: unlessEmpty(deny) }
    const spec = { servers: server, tools, instructions, description }
    return createObject(given, { kind: 'Project', plural: 'projects', name, spec })
  },
})
