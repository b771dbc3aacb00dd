import { expect, test } from 'vitest'
import { mintBootEpoch } from '../../lib/id.ts'
import { createWireIds } from './wire-id.ts'

test('ids are JSON strings, and none comes twice, in this life or the next', () => {
  const lives = [createWireIds(mintBootEpoch()), createWireIds(mintBootEpoch())]
  const ids = lives.flatMap((life) => Array.from({ length: 200 }, () => life.next()))
  for (const id of ids) expect(JSON.parse(id)).toMatch(/^c[\w-]{8}\.\d+$/)
  expect(new Set(ids).size).toBe(400)
})
