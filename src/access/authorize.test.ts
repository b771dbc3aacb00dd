import { expect, test } from 'vitest'
import { authorize, type Permission } from './authorize.ts'
import type { Principal } from './principal.ts'

const ADMIN: Principal = { kind: 'local-admin', key: 'local-admin', name: 'local-admin' }
const TOKEN: Principal = { kind: 'token', key: 'token:tok_1', uid: 'tok_1', name: 'laptop', project: 'demo' }

test.each<[Permission, string | undefined]>([
  [{ use: 'mcp', project: 'demo' }, undefined],
  [{ use: 'mcp', project: 'other' }, 'other-project'],
  [{ verb: 'view', kind: 'projects', name: 'demo' }, 'no-right'],
  [{ verb: 'delete', kind: 'tokens', name: 'laptop', project: 'demo' }, 'no-right'],
  [{ verb: 'run', kind: 'daemon' }, 'no-right'],
])('a token and %o: %s', (permission, reason) => {
  expect(authorize(TOKEN, permission)?.reason).toBe(reason)
  expect(authorize(ADMIN, permission)).toBeUndefined()
})
