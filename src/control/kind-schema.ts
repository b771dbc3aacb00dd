import { z } from 'zod'
import { ManifestMetadata, nameRule, type KindDefinition } from '../kinds/define-kind.ts'

/** The part of JSON Schema 2020-12 that our kinds use. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly title?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly oneOf?: readonly JsonSchema[]
  readonly anyOf?: readonly JsonSchema[]
}

function derive(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest as JsonSchema
}

export const specSchema = (definition: KindDefinition): JsonSchema => derive(definition.spec)
export const statusSchema = (definition: KindDefinition): JsonSchema => derive(definition.status)

/** `metadata` of this kind: its rule for names is in it. */
export function metadataSchema(definition: KindDefinition): JsonSchema {
  const metadata = derive(ManifestMetadata)
  const { description } = metadata.properties?.['name'] ?? {}
  const name: JsonSchema = {
    ...derive(nameRule(definition)),
    ...(description === undefined ? {} : { description }),
  }
  return { ...metadata, properties: { ...metadata.properties, name } }
}

/** A manifest of this kind, as an editor checks it. What the system adds is allowed and ignored. */
export function manifestSchema(definition: KindDefinition): JsonSchema {
  const metadata = metadataSchema(definition)
  const { project, ...global } = metadata.properties ?? {}
  const scoped = definition.scope === 'project' && project !== undefined
  return {
    title: definition.kind,
    description: definition.summary,
    type: 'object',
    properties: {
      apiVersion: { const: 'castellan/v1' },
      kind: { const: definition.kind },
      metadata: {
        ...metadata,
        properties: scoped ? { ...global, project } : global,
        required: scoped ? ['name', 'project'] : ['name'],
      },
      spec: specSchema(definition),
      status: { type: 'object', description: 'Written by the system; ignored here.' },
    },
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    additionalProperties: false,
  }
}

/** The alternatives of a field: of a union those that `value`, where there is one, can be. */
export function alternatives(schema: JsonSchema, value?: unknown): readonly JsonSchema[] {
  const options = schema.oneOf ?? schema.anyOf
  if (options === undefined) return [schema]
  if (typeof value !== 'object' || value === null) return options
  const fits = options.filter((option) =>
    Object.entries(option.properties ?? {}).every(
      ([name, field]) =>
        field.const === undefined || field.const === (value as Record<string, unknown>)[name],
    ),
  )
  return fits.length === 0 ? options : fits
}

/**
 * The fields that exist at a path of a value.
 *
 * @param path as in a zod issue: names and indexes
 */
export function fieldsAt(
  schema: JsonSchema,
  path: readonly PropertyKey[],
  value: unknown,
): readonly string[] {
  const options = alternatives(schema, value)
  const [head, ...rest] = path
  if (head === undefined) return options.flatMap((option) => Object.keys(option.properties ?? {}))
  const inner =
    typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[head] : undefined
  return options.flatMap((option) => {
    const field = fieldOf(option, head)
    return field === undefined ? [] : fieldsAt(field, rest, inner)
  })
}

function fieldOf(schema: JsonSchema, step: PropertyKey): JsonSchema | undefined {
  if (typeof step === 'number') return schema.items
  const more = schema.additionalProperties
  return schema.properties?.[String(step)] ?? (typeof more === 'object' ? more : undefined)
}
