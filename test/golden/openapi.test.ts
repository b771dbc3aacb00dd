import { expect, test } from 'vitest'
import { checkRoutes, controlRoutes, type ControlApiDeps } from '../../src/control/api/control-api.ts'
import type { ApiRecord } from '../../src/control/api/record.ts'
import type { Route } from '../../src/control/api/route.ts'
import { renderOpenApi } from '../../src/control/render/openapi.ts'
import { KINDS } from '../../src/kinds/registry.ts'

// The table of routes needs nothing until one of them is called.
const routes = controlRoutes({ version: { version: '0.0.0' } } as ControlApiDeps, {} as ApiRecord)

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>
}
const document = renderOpenApi(routes, '0.0.0') as Document

test('the OpenAPI document', async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('openapi.golden.json')
})

test('every kind has every verb, and no operation has the id of another', () => {
  for (const { plural } of KINDS) {
    expect(Object.keys(document.paths[`/api/v1/${plural}`] ?? {}).sort()).toEqual(['get', 'post'])
    expect(Object.keys(document.paths[`/api/v1/${plural}/{name}`] ?? {}).sort()).toEqual(['delete', 'get', 'patch', 'put'])
  }
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
  expect(new Set(ids).size).toBe(ids.length)
})

test('a route without a permission does not start', () => {
  const open = { ...routes[0], permission: undefined } as unknown as Route
  expect(() => checkRoutes([...routes, open])).toThrow(/declares no permission/)
})
