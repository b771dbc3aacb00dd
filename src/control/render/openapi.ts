import type { KindDefinition } from '../../kinds/define-kind.ts'
import { KINDS } from '../../kinds/registry.ts'
import { faultCodes, faultRow } from '../../lib/fault.ts'
import { isKindRoute, type Route } from '../api/route.ts'
import { manifestSchema, statusSchema } from '../kind-schema.ts'

/** OpenAPI 3.1 of the routes as they are served: a route on kinds becomes one path for each kind. */
export function renderOpenApi(routes: readonly Route[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  const add = (path: string, route: Route, definition?: KindDefinition): void => {
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, definition) }
  }
  for (const route of routes) {
    if (!isKindRoute(route)) add(route.path, route)
    else
      for (const definition of KINDS) add(route.path.replace('{word}', definition.plural), route, definition)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Castellan control API',
      version,
      description: 'Generated from the resource kinds and the routes.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      responses: { Refused: refusal() },
      schemas: Object.fromEntries(KINDS.flatMap((definition) => kindSchemas(definition))),
    },
  }
}

function kindSchemas(definition: KindDefinition): readonly [string, unknown][] {
  const { kind } = definition
  return [
    [kind, { ...manifestSchema(definition), examples: [exampleOf(definition)] }],
    [`${kind}Status`, { description: `What the system observed of a ${kind}.`, ...statusSchema(definition) }],
    [
      `${kind}List`,
      {
        type: 'object',
        properties: {
          apiVersion: { const: 'castellan/v1' },
          kind: { const: `${kind}List` },
          items: { type: 'array', items: { $ref: `#/components/schemas/${kind}` } },
        },
        required: ['apiVersion', 'kind', 'items'],
      },
    ],
  ]
}

const exampleOf = ({ kind, scope, example }: KindDefinition): unknown => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name: 'example', ...(scope === 'project' ? { project: 'demo' } : {}) },
  spec: example,
})

function operation(route: Route, definition: KindDefinition | undefined): unknown {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) =>
    name === undefined ? [] : [name],
  )
  const inPath = names.filter((name) => definition === undefined || name !== 'word')
  const words = route.path
    .split('/')
    .slice(3)
    .filter((part) => !part.startsWith('{'))
  return {
    operationId: [
      route.method.toLowerCase(),
      ...words,
      ...(definition === undefined ? [] : [definition.plural]),
      ...(inPath.length > 0 ? ['one'] : []),
    ].join('-'),
    summary: route.summary,
    ...(definition === undefined ? {} : { tags: [definition.kind] }),
    parameters: [
      ...inPath.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...Object.entries(route.query ?? {}).map(([name, description]) => ({
        name,
        in: 'query',
        description,
        schema: { type: 'string' },
      })),
    ],
    ...(route.takesBody === true ? { requestBody: body(route, definition) } : {}),
    responses: {
      [route.answer.status]: { description: 'Done.', content: content(route, definition) },
      default: { $ref: '#/components/responses/Refused' },
    },
  }
}

function body(route: Route, definition: KindDefinition | undefined): unknown {
  const schema = definition === undefined ? {} : { $ref: `#/components/schemas/${definition.kind}` }
  const content =
    route.method === 'PATCH'
      ? { 'application/merge-patch+json': { schema: { type: 'object' } } }
      : { 'application/yaml': { schema }, 'application/json': { schema } }
  return { required: true, content }
}

function content(route: Route, definition: KindDefinition | undefined): unknown {
  const isList = route.method === 'GET' && !route.path.includes('{name}')
  return Object.fromEntries(
    route.answer.types.map((type) => {
      if (type !== 'application/json') return [type, { schema: { type: 'string' } }]
      if (definition === undefined || route.method === 'DELETE') return [type, { schema: {} }]
      return [type, { schema: { $ref: `#/components/schemas/${definition.kind}${isList ? 'List' : ''}` } }]
    }),
  )
}

/** Every refusal has this form; the code says which it is. */
const refusal = (): unknown => ({
  description: 'Refused. The HTTP status follows from the code.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        properties: {
          error: {
            type: 'object',
            properties: {
              code: {
                type: 'string',
                enum: faultCodes(),
                description: faultCodes()
                  .map((code) => `${code}: ${faultRow(code).http}`)
                  .join(', '),
              },
              message: { type: 'string' },
              hint: { type: 'string', description: 'What to do.' },
              problems: {
                type: 'array',
                items: { type: 'string' },
                description: 'What is wrong with which field.',
              },
            },
            required: ['code', 'message'],
          },
        },
        required: ['error'],
      },
    },
  },
})
