import { createObject } from '../create-object.ts'
import { defineCommand, list, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { pairs } from '../pair-options.ts'
import { serverOptions, serverSpec } from '../server-options.ts'

export const createTemplate = defineCommand({
  arguments: ['<name>', '[command...]'],
  options: {
    ...serverOptions,
    parameter: list(
      '--param <NAME[=DEFAULT]>',
      'a parameter, which stands as {{NAME}} in the other options or the command; repeatable',
    ),
    example: list(
      '--example <NAME=VALUE>',
      'a value that works, for a parameter without a default; repeatable',
    ),
    description: text('--description <text>', 'for people'),
  },
  about:
    'Give either --url or, after --, a command with its arguments, as for a server; {{NAME}} stands for a parameter.',
  examples: [
    "castellan create template filesystem --param path --example path=/srv/shared --mount '{{path}}:write' -- npx -y @modelcontextprotocol/server-filesystem '{{path}}'",
    "castellan create template wiki --param team=web --url 'https://wiki.example.com/{{team}}/mcp'",
  ],
  async run(given) {
    const {
      args: [name = '', ...command],
      options: { parameter, example, description, ...options },
    } = given
    const examples = pairs('--example', example)
    const parameters = parameter.map((text) => {
      const [word = '', ...value] = text.split('=')
      return {
        name: word,
        default: value.length === 0 ? undefined : value.join('='),
        example: examples.get(word),
      }
    })
    if ([...examples.keys()].some((word) => !parameters.some((one) => one.name === word)))
      throw usage('--example names a parameter that is not there', 'add: --param NAME')
    const server = serverSpec('castellan create template', command, options)
    const spec = { description, parameters, server }
    return createObject(given, { kind: 'Template', plural: 'templates', name, spec })
  },
})
