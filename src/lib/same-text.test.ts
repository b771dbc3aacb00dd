import { expect, test } from 'vitest'
import { sameText } from './same-text.ts'

test.each([
  ['', '', true],
  ['a', 'a', true],
  ['é', 'é', true],
  ['a', 'b', false],
  ['a', 'ab', false],
  ['a', '', false],
  // As many characters, and not as many bytes.
  ['a', 'é', false],
  ['aa', '😀', false],
])('%j and %j', (a, b, expected) => expect(sameText(a, b)).toBe(expected))
