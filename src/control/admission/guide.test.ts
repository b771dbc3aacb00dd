import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parseManifests } from '../parse-manifests.ts'
import { validateManifest } from './validate.ts'

const guide = await readFile(new URL('../../../docs/manifests.md', import.meta.url), 'utf8')
const examples = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '')

test('the guide has an example of each kind', () => {
  expect(
    examples
      .join('')
      .match(/^kind: .*/gm)
      ?.toSorted(),
  ).toEqual([
    'kind: Project',
    'kind: Project',
    'kind: Secret',
    'kind: Server',
    'kind: Server',
    'kind: Server',
    'kind: Token',
  ])
})

test.each(examples)('an example of the guide is valid %#', async (text) => {
  const documents = await parseManifests(text, 'yaml')
  for (const { value } of documents) expect(validateManifest(value)).toMatchObject({ ok: true })
})
