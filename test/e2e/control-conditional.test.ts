import { expect, test } from 'vitest'
import { EVERYTHING, withControl } from './control-harness.ts'

const SERVER = {
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name: 'a' },
  spec: { transport: 'stdio', command: 'x' },
}

test('of two people who change what both have read, the second is told', () =>
  withControl(async ({ call }) => {
    const made = await call('POST', '/api/v1/servers', SERVER)
    const read = await call('GET', '/api/v1/servers/a')
    const etag = read.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"1-[\w-]{16}"$/)
    expect(made.headers.get('etag')).toBe(etag)
    const mine = { ...SERVER, spec: { transport: 'stdio', command: 'mine' } }
    const first = await call('PUT', '/api/v1/servers/a', mine, { 'if-match': etag })
    expect([first.status, first.headers.get('etag')?.split('-', 1)]).toEqual([200, ['"2']])
    for (const [method, body] of [
      ['PUT', SERVER],
      ['PATCH', { spec: { command: 'theirs' } }],
      ['DELETE', undefined],
    ] as const) {
      const refused = await call(method, '/api/v1/servers/a', body, { 'if-match': etag })
      expect([refused.status, refused.json.code], method).toEqual([412, 'changed_meanwhile'])
    }
    expect((await call('GET', '/api/v1/servers/a')).json['spec']).toMatchObject({ command: 'mine' })
    const both = `${etag}, ${first.headers.get('etag')}`
    expect((await call('DELETE', '/api/v1/servers/a', undefined, { 'if-match': both })).status).toBe(200)
  }))

test('If-Match: any of ours, none of others, and no riddles', () =>
  withControl(async ({ call }) => {
    await call('POST', '/api/v1/servers', SERVER)
    const put = async (ifMatch: string) =>
      (await call('PUT', '/api/v1/servers/a', SERVER, { 'if-match': ifMatch })).status
    expect(await put('*')).toBe(200)
    expect(await put('"1"')).toBe(200)
    expect(await put('"of-another-server"')).toBe(412)
    expect(await put('1')).toBe(400)
    expect(await put('"1')).toBe(400)
    expect(await put(Array(33).fill('"1"').join(','))).toBe(400)
  }))

test('what a client has already is not sent again, until anything in it is different', () =>
  withControl(async ({ call, clock }) => {
    await call('POST', '/api/v1/apply', EVERYTHING)
    const read = (tag: string, output = 'json') =>
      call('GET', `/api/v1/tokens/laptop?output=${output}`, undefined, { 'if-none-match': tag })
    const etag = (await read('""')).headers.get('etag') ?? ''
    const again = await read(`"x", W/${etag}`)
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag])
    expect((await read(etag, 'yaml')).status).toBe(200)
    // The token expires: nothing was written, and the answer is another one.
    clock.ms += 31 * 86_400_000
    expect((await read(etag)).json['status']).toMatchObject({ state: 'expired' })
  }))
