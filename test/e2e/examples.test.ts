import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname

let home: string
let daemon: Daemon
beforeAll(async () => {
  home = await makeHome()
  daemon = await startDaemon(home)
  // Those that the examples ask to be made from the prompt.
  const secrets = { context7: 'key', tracker: 'token' }
  await daemon.apply(
    Object.entries(secrets).map(([name, key]) => ({
      kind: 'Secret',
      metadata: { name },
      spec: { data: { [key]: 'x' } },
    })),
  )
})
afterAll(async () => {
  await daemon.stop()
  await removeHome(home)
})

const FOLDERS = [
  ...new Set(globSync('*/*.yaml', { cwd: EXAMPLES }).map((file) => file.split(/[\\/]/)[0] ?? '')),
]

test('there are examples', () => expect(FOLDERS.length).toBeGreaterThanOrEqual(4))

test.for(FOLDERS)('%s can be applied as it is', async (folder) => {
  const files = globSync(`${folder}/*.yaml`, { cwd: EXAMPLES })
  const manifests = files.map((file) => readFileSync(join(EXAMPLES, file), 'utf8')).join('\n---\n')
  const answer = await fetch(`${daemon.origin}/api/v1/apply?dryRun=true`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(join(home, 'admin-credential'), 'utf8').trim()}`,
      'content-type': 'application/yaml',
    },
    body: manifests,
  })
  const body = (await answer.json()) as { results: readonly { action: string }[] }
  expect(body).toMatchObject({ results: expect.any(Array) as unknown })
  expect(body.results.map(({ action }) => action)).toEqual(body.results.map(() => 'created'))
})
