import type { KindDefinition } from '../../kinds/define-kind.ts'
import { KINDS } from '../../kinds/registry.ts'
import { faultCodes, faultRow } from '../../lib/fault.ts'
import { isKindRoute, isPublicRoute, type Route } from '../api/route.ts'
import { manifestSchema, metadataSchema, specSchema, statusSchema } from '../kind-schema.ts'
import { FIXED_SCHEMAS } from './api-schemas.ts'

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
      description: 'Generated from the resource kinds and the routes. docs/api.md says how to use it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      responses: { Refused: refusal(), NotModified: { description: 'The client has it already.' } },
      parameters: { As: ACT_AS },
      schemas: Object.fromEntries(KINDS.flatMap((definition) => kindSchemas(definition))),
    },
  }
}

function kindSchemas(definition: KindDefinition): readonly [string, unknown][] {
  const { kind } = definition
  return [
    [kind, { ...manifestSchema(definition), examples: [exampleOf(definition)] }],
    [`${kind}Status`, { description: `What the system observed of a ${kind}.`, ...statusSchema(definition) }],
    [`${kind}Object`, objectSchema(definition)],
    [
      `${kind}List`,
      {
        type: 'object',
        properties: {
          apiVersion: { const: 'castellan/v1' },
          kind: { const: `${kind}List` },
          metadata: {
            type: 'object',
            properties: {
              revision: {
                type: 'integer',
                description: 'Where a watch begins that misses nothing of this list.',
              },
              continue: { type: 'string', description: 'Leads to the next page; absent in the last.' },
            },
            required: ['revision'],
            additionalProperties: false,
          },
          items: { type: 'array', items: { $ref: `#/components/schemas/${kind}Object` } },
        },
        required: ['apiVersion', 'kind', 'metadata', 'items'],
        additionalProperties: false,
      },
    ],
  ]
}

const SYSTEM_FIELDS = ['labels', 'annotations', 'uid', 'generation', 'createdAt', 'updatedAt']

/** As it is answered: with everything that the system adds. */
function objectSchema(definition: KindDefinition): unknown {
  const { kind, scope } = definition
  const named = scope === 'project' ? ['name', 'project'] : ['name']
  return {
    title: kind,
    description: definition.summary,
    type: 'object',
    properties: {
      apiVersion: { const: 'castellan/v1' },
      kind: { const: kind },
      metadata: { ...metadataSchema(definition), required: [...named, ...SYSTEM_FIELDS] },
      spec: specSchema(definition),
      status: { $ref: `#/components/schemas/${kind}Status` },
      ...(kind === 'Token'
        ? { secret: { type: 'string', description: 'In the answer to its creation only.' } }
        : {}),
    },
    required: ['apiVersion', 'kind', 'metadata', 'spec', 'status'],
    additionalProperties: false,
  }
}

const exampleOf = ({ kind, scope, example }: KindDefinition): unknown => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name: 'example', ...(scope === 'project' ? { project: 'demo' } : {}) },
  spec: example,
})

const ACT_AS = {
  name: 'X-Castellan-As',
  in: 'header',
  description:
    'A subject to act as, such as User:ada; needs the operation impersonate. Both are on the record.',
  schema: { type: 'string' },
}

function operation(route: Route, definition: KindDefinition | undefined): unknown {
  const refused = isMadeBySystem(route, definition)
  const isOpen = isPublicRoute(route)
  return {
    operationId: operationId(route, definition),
    summary: refused ? `Refused: a ${definition?.kind} is made by the system.` : route.summary,
    ...(definition === undefined ? {} : { tags: [definition.kind] }),
    ...(isOpen ? { security: [] } : {}),
    parameters: [
      ...parameters(route, definition),
      ...(isOpen ? [] : [{ $ref: '#/components/parameters/As' }]),
    ],
    ...(route.takesBody === true ? { requestBody: body(route, definition) } : {}),
    responses: responses(route, definition),
  }
}

/** Changes that are there for each kind, and that this kind always refuses. */
const isMadeBySystem = ({ method }: Route, definition: KindDefinition | undefined): boolean =>
  definition?.systemMade === true && (method === 'POST' || method === 'PUT' || method === 'PATCH')

const pathNames = ({ path }: Route, definition: KindDefinition | undefined): readonly string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) =>
    name === undefined || (definition !== undefined && name === 'word') ? [] : [name],
  )

function operationId(route: Route, definition: KindDefinition | undefined): string {
  const words = route.path
    .split('/')
    .slice(3)
    .filter((part) => !part.startsWith('{'))
  return [
    route.method.toLowerCase(),
    ...words,
    ...(definition === undefined ? [] : [definition.plural]),
    ...(pathNames(route, definition).length > 0 ? ['one'] : []),
  ].join('-')
}

function parameters(route: Route, definition: KindDefinition | undefined): readonly unknown[] {
  const words = KINDS.map(({ plural }) => plural)
  return [
    ...pathNames(route, definition).map((name) => ({
      name,
      in: 'path',
      required: true,
      schema: name === 'word' ? { type: 'string', examples: words } : { type: 'string' },
    })),
    ...Object.entries(route.query ?? {}).map(([name, description]) => ({
      name,
      in: 'query',
      description,
      schema: querySchema(name, description, route),
    })),
    ...Object.entries(route.headers ?? {}).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ]
}

/** The type of a parameter follows from its name; its values, where there are only some, stand in its description. */
function querySchema(name: string, description: string, route: Route): unknown {
  const choices = /^One of ([\w, ]+);|^(\w+) or (\w+);/.exec(description)
  if (choices !== null) return { type: 'string', enum: choices[1]?.split(', ') ?? [choices[2], choices[3]] }
  if (description.startsWith('true: ')) return { type: 'string', enum: ['true', 'false'] }
  if (name === 'limit') return { type: 'integer', minimum: 1, maximum: 10_000 }
  if (name === 'tail' || name === 'waitSeconds' || (name === 'since' && isKindRoute(route)))
    return { type: 'integer', minimum: 0 }
  return { type: 'string' }
}

function body(route: Route, definition: KindDefinition | undefined): unknown {
  if (route.method === 'PATCH')
    return { required: true, content: { 'application/merge-patch+json': { schema: { type: 'object' } } } }
  const fixed = FIXED_SCHEMAS[`${route.method} ${route.path}`]?.body ?? {}
  const schema = definition === undefined ? fixed : { $ref: `#/components/schemas/${definition.kind}` }
  const isManifest = definition !== undefined || route.path === '/api/v1/apply'
  const json = { 'application/json': { schema } }
  return { required: true, content: isManifest ? { ...json, 'application/yaml': { schema } } : json }
}

function responses(route: Route, definition: KindDefinition | undefined): unknown {
  const refused = { $ref: '#/components/responses/Refused' }
  if (isMadeBySystem(route, definition)) return { 400: refused, default: refused }
  const { 'If-Match': ifMatch, 'If-None-Match': ifNoneMatch, 'Idempotency-Key': once } = route.headers ?? {}
  const isTagged = definition !== undefined && (ifNoneMatch !== undefined || route.takesBody === true)
  return {
    [route.answer.status]: {
      description: 'Done.',
      ...(isTagged ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
      content: content(route, definition),
    },
    ...(ifNoneMatch === undefined ? {} : { 304: { $ref: '#/components/responses/NotModified' } }),
    ...(isPublicRoute(route) ? {} : { 401: refused, 403: refused }),
    ...(route.takesBody === true ? { 400: refused, 413: refused, 415: refused } : {}),
    ...(ifMatch === undefined ? {} : { 412: refused }),
    ...(once === undefined ? {} : { 409: refused, 422: refused }),
    default: refused,
  }
}

function content(route: Route, definition: KindDefinition | undefined): unknown {
  return Object.fromEntries(
    route.answer.types.map((type) => [
      type,
      { schema: type === 'application/json' ? answerSchema(route, definition) : { type: 'string' } },
    ]),
  )
}

function answerSchema(route: Route, definition: KindDefinition | undefined): unknown {
  if (definition === undefined) return FIXED_SCHEMAS[`${route.method} ${route.path}`]?.answer ?? {}
  const { kind } = definition
  if (route.method === 'DELETE')
    return {
      type: 'object',
      properties: { kind: { const: kind }, name: { type: 'string' }, action: { const: 'deleted' } },
      required: ['kind', 'name', 'action'],
      additionalProperties: false,
    }
  const isList = route.method === 'GET' && !route.path.includes('{name}')
  return { $ref: `#/components/schemas/${kind}${isList ? 'List' : 'Object'}` }
}

/** Every refusal has this form; the code says which it is. */
const refusal = (): unknown => ({
  description: 'Refused. The HTTP status follows from the code.',
  headers: {
    'Retry-After': { description: 'Seconds, where waiting helps (429, 503).', schema: { type: 'integer' } },
    'WWW-Authenticate': { description: 'With 401.', schema: { type: 'string' } },
  },
  content: {
    'application/problem+json': {
      schema: {
        description: 'Problem details (RFC 9457).',
        type: 'object',
        properties: {
          type: { type: 'string', description: 'Where the code is explained; needs no credential.' },
          title: { type: 'string' },
          status: { type: 'integer' },
          detail: { type: 'string' },
          code: {
            type: 'string',
            enum: faultCodes(),
            description: faultCodes()
              .map((code) => `${code}: ${faultRow(code).http}`)
              .join(', '),
          },
          hint: { type: 'string', description: 'What to do.' },
          problems: {
            type: 'array',
            items: { type: 'string' },
            description: 'What is wrong with which field.',
          },
        },
        required: ['type', 'title', 'status', 'code'],
        additionalProperties: false,
      },
    },
  },
})
