import { expect, test } from 'vitest'
import { renderExplanation } from '../../src/control/render/explain.ts'
import { findKind, KINDS } from '../../src/kinds/registry.ts'
import type { KindDefinition } from '../../src/kinds/define-kind.ts'

const kind = (word: string): KindDefinition => findKind(word) as KindDefinition

test.each(KINDS.map((definition) => [definition.kind, definition] as const))('explain %s', async (name, definition) => {
  await expect(await renderExplanation(definition, '')).toMatchFileSnapshot(`explain-${name.toLowerCase()}.golden.txt`)
})

test('a field, through unions and lists', async () => {
  await expect(await renderExplanation(kind('server'), 'spec.env.valueFrom')).toMatchFileSnapshot(
    'explain-server-env-value-from.golden.txt',
  )
  expect(await renderExplanation(kind('server'), 'spec.env[0].value')).toContain('FIELD:    spec.env[0].value <string>')
})

test('a misspelt field gets the nearest one, a wrong one the list', async () => {
  const hintOf = (path: string) =>
    renderExplanation(kind('server'), path).then(
      () => undefined,
      (fault: { hint?: string }) => fault.hint,
    )
  expect(await hintOf('spec.urll')).toBe('did you mean url?')
  expect(await hintOf('spec.timeouts.xyzzy')).toBe('the fields here are connectSeconds, callSeconds, answerSeconds')
  expect(await hintOf('spec.url.host')).toBe('there are no fields below this one')
})
