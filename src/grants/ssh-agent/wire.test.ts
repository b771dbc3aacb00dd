import { describe, expect, test } from 'vitest'
import { isLogin } from './login-request.ts'
import {
  AgentProtocolError,
  fieldsOf,
  framed,
  MAX_MESSAGE_BYTES,
  messagesOf,
  sshString,
  uint32,
} from './wire.ts'

const text = (value: string): Buffer => sshString(Buffer.from(value))

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function all(bytes: Buffer, size: number): Promise<readonly string[]> {
  const messages: string[] = []
  for await (const message of messagesOf(pieces(bytes, size))) messages.push(message.toString('latin1'))
  return messages
}

describe('messages of a stream', () => {
  const stream = Buffer.concat([
    framed(11),
    framed(13, Buffer.from('abc')),
    framed(1, Buffer.alloc(1000, 'x')),
  ])

  test.each([1, 2, 3, 5, 7, 1000, 5000])('are the same in pieces of %i bytes', async (size) => {
    expect(await all(stream, size)).toEqual(['\u000b', '\rabc', `\u0001${'x'.repeat(1000)}`])
  })

  test('of the longest that is taken, byte by byte', async () => {
    const [message] = await all(framed(1, Buffer.alloc(MAX_MESSAGE_BYTES - 1)), 1)
    expect(message).toHaveLength(MAX_MESSAGE_BYTES)
  })

  test.each([
    ['empty', uint32(0)],
    ['too long', Buffer.concat([uint32(MAX_MESSAGE_BYTES + 1), Buffer.alloc(10)])],
    ['absurdly long', Buffer.alloc(4, 0xff)],
    ['cut off in its length', Buffer.alloc(3)],
    ['cut off', framed(11, Buffer.alloc(9)).subarray(0, 8)],
  ])('that are %s end it', async (_, bytes) => {
    await expect(all(bytes, 3)).rejects.toThrow(AgentProtocolError)
  })
})

test('no field reaches beyond its message', () => {
  expect(() => fieldsOf(uint32(5)).string()).toThrow(AgentProtocolError)
  expect(() => fieldsOf(Buffer.alloc(4, 0xff)).string()).toThrow(AgentProtocolError)
  expect(() => fieldsOf(Buffer.alloc(3)).uint32()).toThrow(AgentProtocolError)
  expect(() => fieldsOf(Buffer.alloc(0)).byte()).toThrow(AgentProtocolError)
})

describe('a login', () => {
  const blob = Buffer.from('a public key')
  interface Parts {
    readonly session: Buffer
    readonly type: number
    readonly service: string
    readonly method: string
    readonly signed: number
    readonly key: Buffer
    readonly rest: Buffer
  }
  const usual: Parts = {
    session: Buffer.alloc(32, 7),
    type: 50,
    service: 'ssh-connection',
    method: 'publickey',
    signed: 1,
    key: blob,
    rest: Buffer.alloc(0),
  }
  const request = (changed: Partial<Parts> = {}): Buffer => {
    const { session, type, service, method, signed, key, rest } = Object.assign({}, usual, changed)
    const head = [sshString(session), Buffer.from([type]), text('git'), text(service), text(method)]
    return Buffer.concat([...head, Buffer.from([signed]), text('ssh-ed25519'), sshString(key), rest])
  }
  const hostBound = { method: 'publickey-hostbound-v00@openssh.com', rest: text('key of the host') }

  test.each([
    ['RFC 4252', request()],
    ['bound to a host', request(hostBound)],
  ])('of the form of %s is one', (_, data) => {
    expect(isLogin(data, blob)).toBe(true)
  })

  test.each([
    ['with another key', request({ key: Buffer.from('another key') })],
    ['with something after it', request({ rest: Buffer.from('x') })],
    ['with a host that its method does not name', request({ rest: hostBound.rest })],
    ['without the host that its method names', request({ method: hostBound.method })],
    ['of a session of no hash', request({ session: Buffer.alloc(0) })],
    ['of a session longer than a hash', request({ session: Buffer.alloc(65) })],
    ['of another message', request({ type: 51 })],
    ['to another service', request({ service: 'ssh-userauth' })],
    ['by another method', request({ method: 'hostbased' })],
    ['that is a question only', request({ signed: 0 })],
    ['cut off', request().subarray(0, -1)],
    ['of nothing', Buffer.alloc(0)],
    [
      'in the form of a signed file',
      Buffer.concat([Buffer.from('SSHSIG'), text('git'), text(''), text('sha512')]),
    ],
    ['of random bytes', Buffer.alloc(1024, 0x5a)],
  ])('%s is none', (_, data) => {
    expect(isLogin(data, blob)).toBe(false)
  })
})
