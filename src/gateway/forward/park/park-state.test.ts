import { expect, test } from 'vitest'
import { readMessage, type Message } from '../../../protocol/message.ts'
import { createStateSealer, requestDigest, type ParkState } from './park-state.ts'

const STATE: ParkState = {
  node: 'epoch',
  park: 'pepoch.1',
  round: 2,
  principal: 'token:tok_1',
  expiresMs: 1_700_000_000_000,
  digest: 'd',
}
const sealer = createStateSealer(Buffer.alloc(32, 1))

test('a state opens as it was sealed, in every process with the same key, and says nothing from outside', () => {
  const text = sealer.seal(STATE)
  expect(createStateSealer(Buffer.alloc(32, 1)).open(text)).toEqual(STATE)
  expect(Buffer.from(text.slice(5), 'base64url').toString('latin1')).not.toContain('token')
  expect(sealer.seal(STATE)).not.toBe(text)
})

test('another key, a changed byte at any place, a cut and what is no state do not open', () => {
  const text = sealer.seal(STATE)
  expect(createStateSealer(Buffer.alloc(32, 2)).open(text)).toBeUndefined()
  for (let i = 0; i < text.length; i++) {
    const other = text[i] === 'A' ? 'B' : 'A'
    // The last character of base64 has bits that say nothing.
    const changed = text.slice(0, i) + other + text.slice(i + 1)
    const opened = sealer.open(changed)
    if (i < text.length - 1) expect(opened, `byte ${i}`).toBeUndefined()
  }
  for (let cut = 0; cut < text.length - 2; cut++) expect(sealer.open(text.slice(0, cut))).toBeUndefined()
  for (const junk of [
    '',
    'cst1.',
    'cst1.!!!!',
    'server-state',
    'x'.repeat(100_000),
    `cst1.${'A'.repeat(5000)}`,
  ])
    expect(sealer.open(junk)).toBeUndefined()
})

const call = (params: string, method = 'tools/call'): Message => {
  const read = readMessage(
    Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`),
    'client',
  )
  if (!read.ok) throw new TypeError(read.error)
  return read.value
}

test('the digest is of what is asked for, whatever else stands there and in whatever order', () => {
  const digest = requestDigest(call('{"name":"a","arguments":{"x":1,"y":{"p":[1,2],"q":null}}}'))
  const same = '{"requestState":"s","_meta":{"z":1},"arguments":{"y":{"q":null,"p":[1,2]},"x":1},"name":"a"}'
  expect(requestDigest(call(same))).toBe(digest)
  for (const other of [
    '{"name":"b","arguments":{"x":1,"y":{"p":[1,2],"q":null}}}',
    '{"name":"a","arguments":{"x":2,"y":{"p":[1,2],"q":null}}}',
    '{"name":"a","arguments":{"x":1,"y":{"p":[2,1],"q":null}}}',
    '{"name":"a"}',
  ])
    expect(requestDigest(call(other))).not.toBe(digest)
  expect(requestDigest(call('{"name":"a"}'))).toBe(requestDigest(call('{"name":"a","arguments":{}}')))
  expect(requestDigest(call('{"name":"a"}', 'prompts/get'))).not.toBe(requestDigest(call('{"name":"a"}')))
})
