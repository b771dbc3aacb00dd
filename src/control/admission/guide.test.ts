import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { KINDS } from '../../kinds/registry.ts'
import { parseManifests } from '../parse-manifests.ts'
import { validateManifest } from './validate.ts'

const guide = await readFile(new URL('../../../docs/manifests.md', import.meta.url), 'utf8')
const examples = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '')

test('the guide has an example of each kind', () => {
  const shown = new Set(examples.join('').match(/^kind: .*/gm))
  for (const { kind, systemMade } of KINDS) expect(shown.has(`kind: ${kind}`)).toBe(systemMade !== true)
})

test.each(examples)('an example of the guide is valid %#', async (text) => {
  const documents = await parseManifests(text, 'yaml')
  for (const { value } of documents) expect(validateManifest(value)).toMatchObject({ ok: true })
})
