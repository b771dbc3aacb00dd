import { z } from 'zod'
import { defineKind, type ResourceOf } from './define-kind.ts'
import { fillTemplate, placesOf, unknownPlaceholders } from './expand-template.ts'
import { isSensitiveName } from './sensitive-name.ts'

const Parameter = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z][A-Za-z0-9-]{0,39}$/,
      'must be 1 to 40 of letters, digits and -, beginning with a letter',
    )
    .describe('What stands in double braces: `{{path}}`.'),
  description: z.string().max(2000).optional().describe('For people.'),
  default: z.string().max(8192).optional().describe('Taken where no value is given; absent: one must be.'),
  example: z
    .string()
    .max(8192)
    .optional()
    .describe('A value that works; needed where there is no default, to check the template with.'),
})

type Parameter = z.output<typeof Parameter>

export const Template = defineKind({
  kind: 'Template',
  plural: 'templates',
  short: ['template', 'tpl'],
  scope: 'global',
  uidPrefix: 'tpl',
  summary:
    'A Server to make Servers from, with parameters; `castellan create server NAME --from-template TEMPLATE`.',
  spec: z.strictObject({
    description: z.string().max(2000).optional().describe('For people.'),
    parameters: z
      .array(Parameter)
      .max(50)
      .default([])
      .describe('What is given when a Server is made. Never a credential: those come from a Secret.'),
    server: z
      .record(z.string(), z.unknown())
      .describe(
        'The spec of a Server (`castellan explain server`); `{{name}}` in any text stands for a parameter.',
      ),
  }),
  status: z.strictObject({}),
  applyOrder: 25,
  check: ({ parameters, server }) => {
    const names = parameters.map(({ name }) => name)
    return [
      ...parameters.flatMap((parameter, i) => [
        ...parameterProblems(parameter, i, names),
        ...placeProblems(`spec.parameters[${i}]`, parameter.name, placesOf(server, parameter.name)),
      ]),
      ...unknownPlaceholders(server, names).map(
        (path) => `spec.server.${path}: holds a {{placeholder}} that is no parameter of the template`,
      ),
    ]
  },
  describes: ({ parameters, server }) => ({
    kind: 'Server',
    at: 'spec.server',
    spec: fillTemplate(
      server,
      new Map(parameters.map(({ name, default: given, example }) => [name, given ?? example ?? ''])),
    ),
  }),
  columns: [
    { header: 'NAME', of: (template) => template.metadata.name },
    { header: 'TRANSPORT', of: ({ spec }) => textOf(spec.server['transport']) },
    { header: 'PARAMETERS', of: ({ spec }) => spec.parameters.map(({ name }) => name).join(',') },
    { header: 'DESCRIPTION', of: (template) => template.spec.description },
  ],
  example: {
    description: 'Files below one folder.',
    parameters: [{ name: 'path', example: '/srv/shared' }],
    server: {
      transport: 'stdio',
      command: 'npx',
      args: ['-y', '@modelcontextprotocol/server-filesystem', '{{path}}'],
      mounts: [{ path: '{{path}}', access: 'write' }],
    },
  },
})

export type Template = ResourceOf<typeof Template>

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

function parameterProblems(
  { name, default: given, example }: Parameter,
  i: number,
  names: readonly string[],
): readonly string[] {
  const at = `spec.parameters[${i}]`
  if (names.indexOf(name) !== i) return [`${at}.name: is given twice`]
  return given === undefined && example === undefined ? [`${at}: needs a default or an example`] : []
}

/** What is given with `--set` is read by every user of the machine, and by everyone who may read the Server. */
function placeProblems(at: string, name: string, places: readonly string[]): readonly string[] {
  if (places.length === 0) return [`${at}: stands nowhere in spec.server`]
  const isReference = places.every((place) => /\.secretRef\.(?:name|key)$/.test(place))
  return isSensitiveName(name) && !isReference
    ? [`${at}.name: looks like a credential; those come from a Secret, with valueFrom: {secretRef: …}`]
    : []
}
