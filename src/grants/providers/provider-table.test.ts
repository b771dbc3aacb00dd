import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readProviderFile } from './provider-file.ts'
import { withProviderTable } from './provider-table.ts'
import { BUILT_IN } from './registry.ts'

const page = (): Promise<string> => readFile(new URL('../../../docs/grants.md', import.meta.url), 'utf8')

test('docs/grants.md has the providers that there are', async () => {
  await expect(withProviderTable(await page(), BUILT_IN)).toMatchFileSnapshot('../../../docs/grants.md')
})

test('the provider file that it shows is one', async () => {
  const [, example = ''] =
    /```yaml\n(# <home>\/providers\/gitlab\.yaml\n[\s\S]*?)```/.exec(await page()) ?? []
  expect(await readProviderFile(example, 'gitlab.yaml')).toMatchObject({ ok: true, value: { id: 'gitlab' } })
})
