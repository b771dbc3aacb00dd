import { expect, test } from 'vitest'
import { asFault, Fault, faultCodes, faultRow, toExit, toHttp, toJsonRpc } from './fault.ts'

const full = new Fault('invalid', {
  problems: ['spec.url must be a URL', 'spec.name is missing'],
  hint: 'castellan explain server',
  detail: 'private detail',
  cause: new Error('private cause'),
})

test('over HTTP it is a problem of RFC 9457 with code, sentence, hint and problems', () => {
  expect(toHttp(full)).toEqual({
    status: 400,
    type: 'application/problem+json',
    headers: {},
    body: {
      type: '/api/v1/faults/invalid',
      title: 'the request is not valid',
      status: 400,
      detail: 'spec.url must be a URL; spec.name is missing; castellan explain server',
      code: 'invalid',
      hint: 'castellan explain server',
      problems: ['spec.url must be a URL', 'spec.name is missing'],
    },
  })
  expect(toHttp(new Fault('not_found')).body).toEqual({
    type: '/api/v1/faults/not_found',
    title: 'there is nothing by that name here',
    status: 404,
    code: 'not_found',
  })
})

test('a refusal that passes says when to come back, and one for lack of a credential how to come', () => {
  expect(toHttp(new Fault('unauthenticated')).headers).toEqual({ 'www-authenticate': 'Bearer' })
  expect(toHttp(new Fault('too_many', { retryAfterSeconds: 30 })).headers).toEqual({ 'retry-after': '30' })
  expect(toHttp(new Fault('unavailable')).headers).toEqual({ 'retry-after': '1' })
})

test('an MCP client is told everything in the message, since models read only that', () => {
  expect(toJsonRpc(full)).toEqual({
    status: 200,
    error: {
      code: -32602,
      message:
        'the request is not valid: spec.url must be a URL; spec.name is missing; castellan explain server',
      data: { code: 'invalid' },
    },
  })
  const data = { supported: ['2026-07-28'], requested: 'x' }
  expect(toJsonRpc(new Fault('unsupported_version', { data })).error.data).toEqual({
    code: 'unsupported_version',
    ...data,
  })
})

test('the command line prints the sentence, each problem and the hint', () => {
  expect(toExit(full)).toEqual({
    status: 2,
    lines: [
      'error: the request is not valid',
      '  - spec.url must be a URL',
      '  - spec.name is missing',
      'hint: castellan explain server',
    ],
  })
})

test('what is private appears on no surface', () => {
  expect(JSON.stringify([toHttp(full), toJsonRpc(full), toExit(full)])).not.toContain('private')
})

test('a Fault stays itself; anything else thrown is a bug that shows nothing of itself', () => {
  expect(asFault(full)).toBe(full)
  for (const thrown of [new TypeError('secret'), 'secret', undefined, { secret: 1 }]) {
    const fault = asFault(thrown)
    expect(fault.code).toBe('internal')
    expect(fault.cause).toBe(thrown)
    expect(JSON.stringify([toHttp(fault), toJsonRpc(fault)])).not.toContain('secret')
  }
})

test.each(faultCodes())('%s keeps to the rules of its columns', (code) => {
  const { http, mcp, rpc, exit, text } = faultRow(code)
  expect(http).toBeGreaterThanOrEqual(400)
  expect([200, 400, 401, 403, 404, 405, 406, 413, 415, 429, 500, 503]).toContain(mcp)
  // MCP 2026-07-28: no codes of our own in the reserved range; these are the ones that are defined.
  expect([-32700, -32600, -32601, -32602, -32603, -32001, -32002, -32020, -32021, -32022]).toContain(rpc)
  expect([1, 2, 70]).toContain(exit)
  // One sentence without an end, so that problems and hint can follow.
  expect(text).toMatch(/^[a-z].*[^.:;]$/i)
  // A JSON-RPC error inside a successful exchange is told apart from one that says the exchange itself failed.
  if (mcp === 400 && rpc === -32602) expect(code).toBe('invalid_envelope')
})
