import { callApi } from '../api.ts'
import { createObject } from '../create-object.ts'
import { defineCommand, list, text, type Given, type Options } from '../define-command.ts'
import { usage } from '../failure.ts'
import { pairs } from '../pair-options.ts'
import { serverOptions, serverSpec } from '../server-options.ts'

export const createServer = defineCommand({
  arguments: ['<name>', '[command...]'],
  options: {
    ...serverOptions,
    template: text('--from-template <name>', 'make it from a template', 'templates'),
    set: list('--set <NAME=VALUE>', 'a parameter of the template; repeatable. Never a credential'),
    description: text('--description <text>', 'for people'),
  },
  about:
    'Give --url, or a command with its arguments after --, or --from-template. Credentials come from grants and secrets, never from an argument.',
  examples: [
    'castellan create server context7 --url https://mcp.context7.com/mcp --header-from X-Api-Key=context7/key',
    'castellan create server notion --url https://mcp.notion.com/mcp --grant oauth:notion',
    'castellan create server memory -- npx -y @modelcontextprotocol/server-memory',
    'castellan create server files --from-template filesystem --set path=/srv/files',
  ],
  async run(given) {
    const {
      args: [name = '', ...command],
      options: { template, set, description, ...options },
    } = given
    const isAlone = command.length === 0 && Object.values(options).every((one) => (one ?? '').length === 0)
    if (template !== undefined && !isAlone)
      throw usage(
        '--from-template stands alone',
        'write: castellan create server NAME --from-template TEMPLATE --set NAME=VALUE',
      )
    if (template === undefined && set.length > 0)
      throw usage('--set belongs to --from-template', 'add: --from-template TEMPLATE')
    const made =
      template === undefined
        ? { spec: serverSpec('castellan create server', command, options) }
        : await fromTemplate(given, template, pairs('--set', set))
    const spec = description === undefined ? made.spec : { ...made.spec, description }
    return createObject(given, { kind: 'Server', plural: 'servers', name, ...made, spec })
  },
})

interface Stored {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly parameters: readonly { readonly name: string; readonly default?: string }[]
    readonly server: object
  }
}

async function fromTemplate(
  { target }: Pick<Given<Options>, 'target'>,
  template: string,
  values: ReadonlyMap<string, string>,
): Promise<{ readonly spec: object; readonly labels: Readonly<Record<string, string>> }> {
  const { fillTemplate } = await import('../../kinds/expand-template.ts')
  const { metadata, spec } = JSON.parse(await callApi(target(), ['templates', template])) as Stored
  const known = spec.parameters.map(({ name }) => name)
  if ([...values.keys()].some((name) => !known.includes(name)))
    throw usage(
      '--set names a parameter that the template does not have',
      known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
    )
  const all = new Map(
    spec.parameters.flatMap(({ name, default: given }) => {
      const value = values.get(name) ?? given
      return value === undefined ? [] : [[name, value] as const]
    }),
  )
  const missing = known.filter((name) => !all.has(name))
  if (missing.length > 0)
    throw usage(
      `the template needs ${missing.join(', ')}`,
      `add: ${missing.map((name) => `--set ${name}=VALUE`).join(' ')}`,
    )
  return {
    spec: fillTemplate(spec.server, all) as object,
    labels: { 'castellan/template': metadata.name },
  }
}
