import { expect, test } from 'vitest'
import { createSseParser } from '../../src/protocol/sse.ts'
import { EVERYTHING, withControl, type Control } from './control-harness.ts'

const server = (name: string, labels: Record<string, string> = {}, command = 'x') => ({
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name, labels },
  spec: { transport: 'stdio', command },
})

interface Told {
  readonly event: string
  readonly id: string | undefined
  readonly data: {
    readonly revision?: number
    readonly code?: string
    readonly text?: string
    readonly object?: { readonly metadata: { readonly name: string }; readonly spec?: unknown }
  }
}

/** A watch, read one event after the other. */
interface Watching {
  readonly status: number
  next(): Promise<Told | undefined>
  /** `created a`, and so on. */
  words(count: number): Promise<readonly string[]>
  readonly lastId: () => string | undefined
  close(): Promise<void>
}

async function watch(
  { api, credential }: Pick<Control, 'api' | 'credential'>,
  query: string,
  headers: Record<string, string> = {},
): Promise<Watching> {
  const request = new Request(`http://127.0.0.1/api/v1/${query}`, {
    headers: { authorization: `Bearer ${credential}`, ...headers },
  })
  const response = await api.fetch(request, { source: '127.0.0.1' })
  const reader = response.body?.getReader()
  const told: Told[] = []
  const parser = createSseParser(1_000_000, ({ event, data, id }) =>
    told.push({ event, id, data: JSON.parse(data.toString()) as Told['data'] }),
  )
  const next = async (): Promise<Told | undefined> => {
    while (told.length === 0) {
      const read = await reader?.read()
      if (read === undefined || read.done) return undefined
      parser.feed(Buffer.from(read.value))
    }
    return told.shift()
  }
  if (response.status === 200) expect((await next())?.event).toBe('started')
  return {
    status: response.status,
    next,
    async words(count) {
      const words: string[] = []
      for (let i = 0; i < count; i++) {
        const one = await next()
        words.push(`${one?.event} ${one?.data.object?.metadata.name ?? one?.data.code}`)
      }
      return words
    },
    lastId: () => parser.lastId,
    close: async () => reader?.cancel(),
  }
}

const put = (control: Control, ...items: readonly unknown[]) =>
  control.call('POST', '/api/v1/apply', { kind: 'List', items })

test('what there is, then what changes; another connection goes on where the last one ended', () =>
  withControl(async (control) => {
    await put(control, server('a'), server('b'))
    const all = await watch(control, 'servers?watch=true')
    expect((await all.words(2)).toSorted()).toEqual(['created a', 'created b'])
    expect(all.lastId()).toBe('1')
    await put(control, server('a', {}, 'y'))
    expect(await all.words(1)).toEqual(['changed a'])
    expect(all.lastId()).toBe('2')
    await put(control, server('c'))
    await control.call('DELETE', '/api/v1/servers/b')
    expect(await all.words(2)).toEqual(['created c', 'deleted b'])
    await all.close()
    // While nobody watches: c changes twice, a goes, d comes and goes, e comes.
    await put(control, server('c', {}, 'y'), server('d'))
    await put(control, server('c', {}, 'z'))
    await control.call('DELETE', '/api/v1/servers/d')
    await control.call('DELETE', '/api/v1/servers/a')
    await put(control, server('e'))
    const { metadata } = (await control.call('GET', '/api/v1/servers')).json as {
      metadata: { revision: number }
    }
    const again = await watch(control, 'servers?watch=true&since=1', { 'last-event-id': all.lastId() ?? '' })
    expect((await again.words(3)).toSorted()).toEqual(['changed c', 'created e', 'deleted a'])
    expect(again.lastId()).toBe(String(metadata.revision))
    await again.close()
    // A list says where to go on from without a gap.
    const behind = await watch(control, `servers?watch=true&since=${metadata.revision}`)
    await put(control, server('f'))
    expect(await behind.words(1)).toEqual(['created f'])
    await behind.close()
  }))

test('what begins to fit a selector is created, what ceases to is deleted, and nothing of it is told then', () =>
  withControl(async (control) => {
    await put(control, server('a'), server('b', { team: 'blue' }))
    const blue = await watch(control, 'servers?watch=true&labelSelector=team=blue')
    expect(await blue.words(1)).toEqual(['created b'])
    await put(control, server('a', { team: 'blue' }))
    expect(await blue.words(1)).toEqual(['created a'])
    await put(control, server('b', { team: 'red' }, 'secret-plan'))
    expect(await blue.next()).toEqual({
      event: 'deleted',
      id: '3',
      data: {
        type: 'deleted',
        revision: 3,
        object: {
          apiVersion: 'castellan/v1',
          kind: 'Server',
          metadata: { name: 'b', uid: expect.stringMatching(/^srv_/) as string },
        },
      },
    })
    await blue.close()
    // The same for who was away meanwhile.
    const later = await watch(control, 'servers?watch=true&labelSelector=team=blue&since=1')
    expect((await later.words(2)).toSorted()).toEqual(['changed a', 'deleted b'])
    await later.close()
  }))

test('rights are those of the moment: what comes into sight is created, what leaves it deleted', () =>
  withControl(async (control) => {
    const subject = { 'x-castellan-as': 'User:ada' }
    const binding = (name: string, ...servers: string[]) => ({
      apiVersion: 'castellan/v1',
      kind: 'RoleBinding',
      metadata: { name },
      spec: {
        subjects: [{ kind: 'User', name: 'ada' }],
        bindings: servers.map((one) => ({ role: 'view', resource: 'servers', name: one })),
      },
    })
    const ada = { apiVersion: 'castellan/v1', kind: 'User', metadata: { name: 'ada' }, spec: {} }
    await put(control, ada, server('a'), server('b'), server('c'), binding('sees', 'a'))
    const hers = await watch(control, 'servers?watch=true', subject)
    expect(await hers.words(1)).toEqual(['created a'])
    await put(control, server('b', {}, 'y'))
    await put(control, binding('sees', 'a', 'b'))
    expect(await hers.words(1)).toEqual(['created b'])
    await put(control, binding('sees', 'c'))
    expect((await hers.words(3)).toSorted()).toEqual(['created c', 'deleted a', 'deleted b'])
    await put(control, server('a', {}, 'z'), server('c', {}, 'z'))
    expect(await hers.words(1)).toEqual(['changed c'])
    await hers.close()
    // What she saw at that time is not known any more.
    const refused = await watch(control, 'servers?watch=true&since=1', subject)
    expect(refused.status).toBe(410)
    const good = await watch(control, `servers?watch=true&since=${hers.lastId()}`, subject)
    expect(good.status).toBe(200)
    await good.close()
  }))

test('a watch ends with its credential, and says so before anything else is told', () =>
  withControl(async (control) => {
    await put(control, { apiVersion: 'castellan/v1', kind: 'Project', metadata: { name: 'demo' }, spec: {} })
    const token = (name: string, ttl: string) => ({
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name, project: 'demo' },
      spec: { ttl },
    })
    const made = async (name: string, ttl: string) =>
      String((await control.call('POST', '/api/v1/tokens', token(name, ttl))).json['secret'])
    const revoked = await watch(
      { api: control.api, credential: await made('one', '1h') },
      'projects?watch=true',
    )
    expect(await revoked.words(1)).toEqual(['created demo'])
    await control.call('PATCH', '/api/v1/tokens/one', { spec: { revoked: true } })
    expect(await revoked.words(1)).toEqual(['ended unauthenticated'])
    expect(await revoked.next()).toBeUndefined()
    const expired = await watch(
      { api: control.api, credential: await made('two', '1h') },
      'projects?watch=true',
    )
    expect(await expired.words(1)).toEqual(['created demo'])
    control.clock.ms += 3_600_001
    await control.call('PATCH', '/api/v1/projects/demo', { metadata: { labels: { x: 'y' } } })
    expect(await expired.words(1)).toEqual(['ended unauthenticated'])
  }))

test('who reads slowly is told of each object as it is, once', () =>
  withControl(async (control) => {
    const slow = await watch(control, 'servers?watch=true')
    for (let i = 0; i < 20; i++) await put(control, server('a', {}, `c${i}`), server('b', {}, `c${i}`))
    expect((await slow.words(2)).toSorted()).toEqual(['created a', 'created b'])
    expect(slow.lastId()).toBe('20')
    await slow.close()
  }))

test('watches of one caller are bounded, and a place is free again when one has ended', () =>
  withControl(async (control) => {
    for (let i = 0; i < 60; i++) {
      const head = await control.call('HEAD', '/api/v1/servers?watch=true')
      expect([head.status, head.text]).toEqual([200, ''])
    }
    const open = await Promise.all(Array.from({ length: 50 }, () => watch(control, 'servers?watch=true')))
    const one = await control.call('GET', '/api/v1/servers?watch=true')
    expect([one.status, one.json.code, one.headers.get('retry-after')]).toEqual([429, 'too_many', '10'])
    await open[0]?.close()
    const next = await watch(control, 'servers?watch=true')
    expect(next.status).toBe(200)
    for (const each of [...open, next]) await each.close()
  }))

test('a revision that is too old, or of another database, wants a list first', () =>
  withControl(async (control) => {
    await put(control, server('a'))
    for (const since of ['7', '999999999']) {
      const answer = await control.call('GET', `/api/v1/servers?watch=true&since=${since}`)
      expect([answer.status, answer.json.code, answer.json.hint]).toEqual([
        410,
        'expired',
        'list again, and watch from the metadata.revision of that list',
      ])
    }
    await control.store.control.updateTable('revision').set({ value: 20_000 }).execute()
    await control.snapshot.catchUp()
    expect((await control.call('GET', '/api/v1/servers?watch=true&since=5')).status).toBe(410)
    for (const query of ['since=x', 'since=-1', 'since=1&limit=2', 'continue=x', 'labelSelector=a=b=c'])
      expect((await control.call('GET', `/api/v1/servers?watch=true&${query}`)).status, query).toBe(400)
    expect((await control.call('GET', '/api/v1/servers?since=1')).status).toBe(400)
  }))

test('a table that is watched has its columns where the list has them', () =>
  withControl(async (control) => {
    await control.call('POST', '/api/v1/apply', EVERYTHING)
    const rows = await watch(control, 'projects?watch=true&output=table')
    const list = await control.call('GET', '/api/v1/projects?output=table')
    const made = await rows.next()
    expect(list.text).toContain(made?.data.text)
    await control.call('DELETE', '/api/v1/tokens/laptop?project=demo')
    await control.call('DELETE', '/api/v1/projects/demo')
    expect((await rows.next())?.data.text).toMatch(/^demo +deleted\n$/)
    await rows.close()
  }))
