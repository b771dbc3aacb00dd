import { expect, test } from 'vitest'
import { manifestSchema } from '../../src/control/kind-schema.ts'
import { KINDS } from '../../src/kinds/registry.ts'

test.each(KINDS.map((definition) => [definition.kind, definition] as const))('schema of %s', async (name, definition) => {
  await expect(`${JSON.stringify(manifestSchema(definition), null, 2)}\n`).toMatchFileSnapshot(
    `schema-${name.toLowerCase()}.golden.json`,
  )
})

test('every field of every kind says what it is for', () => {
  const missing: string[] = []
  const walk = (path: string, schema: object): void => {
    const { properties = {}, items, oneOf = [], anyOf = [], additionalProperties } = schema as Readonly<{
      properties?: Record<string, { description?: string; const?: unknown }>
      items?: object
      oneOf?: object[]
      anyOf?: object[]
      additionalProperties?: object | boolean
    }>
    for (const [name, field] of Object.entries(properties)) {
      if (field.description === undefined) missing.push(`${path}.${name}`)
      walk(`${path}.${name}`, field)
    }
    for (const inner of [items, ...oneOf, ...anyOf, additionalProperties]) {
      if (typeof inner === 'object') walk(path, inner)
    }
  }
  for (const definition of KINDS) {
    walk(definition.kind, manifestSchema(definition).properties?.['spec'] ?? {})
    walk(definition.kind, manifestSchema(definition).properties?.['metadata'] ?? {})
  }
  expect(missing).toEqual([])
})
