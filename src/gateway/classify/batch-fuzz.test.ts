import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { damaged, fuzz, FUZZ_TIMEOUT_MS, jsonText } from '../../../test/fixtures/fuzz.ts'
import { splitBatch } from '../../protocol/batch.ts'
import { readMessage } from '../../protocol/message.ts'
import { readBatch } from './batch.ts'

const message = fc
  .tuple(fc.constantFrom('"id":1,', '"id":2,', '"id":"x",', ''), jsonText(['name', '_meta', 'params'], 3))
  .map(([id, params]) => `{"jsonrpc":"2.0",${id}"method":"ping","params":${params}}`)

const batch = fc
  .array(
    fc.oneof({ weight: 6, arbitrary: message }, { weight: 1, arbitrary: jsonText(['jsonrpc', 'id'], 2) }),
    {
      maxLength: 6,
    },
  )
  .map((all) => ` [ ${all.join(' , ')} ] `)

test(
  'batches: as many elements as JSON says, and each a message or the whole refused',
  { timeout: FUZZ_TIMEOUT_MS },
  () => {
    fuzz(batch, (text) => {
      const body = Buffer.from(text)
      const all = JSON.parse(text) as unknown[]
      const parts = splitBatch(body)
      expect(parts.map((part) => JSON.parse(part.toString()) as unknown)).toEqual(all)
      const read = readBatch(body)
      if (!('code' in read)) expect(read).toHaveLength(all.length)
    })
  },
)

test('batches: damaged', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(damaged(batch), (body) => {
    const whole = readMessage(body, 'client')
    if (whole.ok || whole.error !== 'batch') return
    expect(splitBatch(body)).toHaveLength((JSON.parse(body.toString()) as unknown[]).length)
    readBatch(body)
  })
})
