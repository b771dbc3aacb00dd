import { expect, test } from 'vitest'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { findKind } from '../../kinds/registry.ts'
import type { Wanted } from '../../secrets/backends/follow-references.ts'
import type { Stored } from '../stored.ts'
import { createElsewhere } from './elsewhere.ts'
import { buildState } from './state.ts'

function stored(kind: string, name: string, spec: unknown, revision = 1): Stored {
  const definition = findKind(kind) as KindDefinition
  const metadata = {
    name,
    labels: {},
    annotations: {},
    uid: name,
    generation: 1,
    createdAt: '',
    updatedAt: '',
  }
  return {
    definition,
    project: '',
    revision,
    createdAtMs: 0,
    resource: { apiVersion: 'castellan/v1', kind, metadata, spec: definition.spec.parse(spec), status: {} },
  }
}

const atEnv = (name: string, variable: string, revision = 1): Stored =>
  stored('Secret', name, { backend: 'env', refs: { token: variable } }, revision)
const SEALED = stored('Secret', 'keys', { data: { token: null } }, 2)
const SERVER = stored('Server', 'keys', { transport: 'stdio', command: 'x' })

function follower() {
  const asked: (readonly [owner: string, wanted: string | undefined])[] = []
  const elsewhere = createElsewhere({
    follow(owner: string, wanted: Wanted | undefined) {
      asked.push([owner, wanted?.refs['token']])
      return Promise.resolve()
    },
  })
  return { elsewhere, asked }
}

test('what a Secret says is followed, and not any longer once it is sealed or gone', () => {
  const { elsewhere, asked } = follower()
  elsewhere.settle([{ before: undefined, after: atEnv('keys', 'A') }])
  elsewhere.settle([{ before: atEnv('keys', 'A'), after: SEALED }])
  elsewhere.settle([{ before: atEnv('keys', 'B'), after: undefined }])
  elsewhere.settle([{ before: undefined, after: SERVER }])
  expect(asked).toEqual([
    ['keys', 'A'],
    ['keys', undefined],
    ['keys', undefined],
  ])
})

test('of what goes and comes back in one step only the end counts', () => {
  const { elsewhere, asked } = follower()
  elsewhere.settle([
    { before: atEnv('keys', 'A'), after: undefined },
    { before: undefined, after: atEnv('keys', 'A') },
  ])
  expect(asked).toEqual([['keys', 'A']])
})

test('what is older than what everybody sees already is not prepared', async () => {
  const { elsewhere, asked } = follower()
  const state = buildState({ revision: 5, resources: [atEnv('keys', 'B', 5)], sealed: [], tokens: [] })
  await elsewhere.prepare(state, [atEnv('keys', 'A', 4), atEnv('late', 'C', 4), SERVER], 10)
  expect(asked).toEqual([['late', 'C']])
})
