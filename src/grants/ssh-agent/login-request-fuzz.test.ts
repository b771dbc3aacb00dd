import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunked, fuzz, FUZZ_TIMEOUT_MS, fuzzTurns } from '../../../test/fixtures/fuzz.ts'
import { isLogin } from './login-request.ts'
import { AgentProtocolError, fieldsOf, framed, messagesOf, sshString } from './wire.ts'

const text = (value: string): Buffer => sshString(Buffer.from(value))
const BLOB = Buffer.from('a public key of the length of a key')
const LOGIN = Buffer.concat([
  sshString(Buffer.alloc(32, 7)),
  Buffer.from([50]),
  ...['git', 'ssh-connection', 'publickey'].map(text),
  Buffer.from([1]),
  text('ssh-ed25519'),
  sshString(BLOB),
])

const cut = fc.tuple(fc.nat(LOGIN.length), fc.nat(6), fc.uint8Array({ maxLength: 6 }))

test('whatever is done to a login, it is one with that key, or none', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(
    fc.oneof(
      cut,
      cut.map(([at, , bytes]) => [at, bytes.length, bytes] as const),
    ),
    ([at, remove, insert]) => {
      const data = Buffer.concat([LOGIN.subarray(0, at), insert, LOGIN.subarray(at + remove)])
      if (!isLogin(data, BLOB)) return
      const fields = fieldsOf(data)
      fields.string()
      expect(fields.byte()).toBe(50)
      fields.string()
      expect(fields.string().toString()).toBe('ssh-connection')
      expect(data.subarray(-BLOB.length).equals(BLOB)).toBe(true)
    },
  )
})

test('streams of messages: the same in all pieces, or ended', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const message = fc.uint8Array({ maxLength: 40 }).map((bytes) => framed(11, Buffer.from(bytes)))
  const stream = fc.tuple(
    fc.array(message, { maxLength: 5 }),
    fc.uint8Array({ maxLength: 3 }),
    fc.array(fc.nat()),
  )
  await fuzzTurns(stream, async ([messages, rest, cuts]) => {
    const read: Buffer[] = []
    let ended: unknown
    try {
      for await (const one of messagesOf(pieces(Buffer.concat([...messages, rest]), cuts)))
        read.push(Buffer.from(one))
    } catch (error) {
      ended = error
    }
    expect(read.map(sshString)).toEqual(messages)
    expect(ended === undefined).toBe(rest.length === 0)
    if (ended !== undefined) expect(ended).toBeInstanceOf(AgentProtocolError)
  })
})

async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  for (const piece of chunked(bytes, cuts)) yield piece
}
