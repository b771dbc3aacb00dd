import { expect, test } from 'vitest'
import { withControl, type Control } from './control-harness.ts'

const server = (name: string, labels: Record<string, string> = {}, command = 'x') => ({
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name, labels },
  spec: { transport: 'stdio', command },
})

const makeAll = (call: Control['call'], items: readonly unknown[]) =>
  call('POST', '/api/v1/apply', { kind: 'List', items })

const namesIn = (items: readonly unknown[] = []) =>
  items.map((item) => (item as { metadata: { name: string } }).metadata.name)

interface Listed {
  readonly revision: number
  readonly continue?: string
}

test('pages: what stays comes once, whatever is made and deleted between them', () =>
  withControl(async ({ call }) => {
    const stay = Array.from({ length: 23 }, (_, i) => `s${String(i).padStart(2, '0')}`)
    await makeAll(
      call,
      stay.map((name) => server(name)),
    )
    const seen: string[] = []
    const revisions: number[] = []
    let next: string | undefined = ''
    for (let i = 0; next !== undefined; i++) {
      const page = await call('GET', `/api/v1/servers?limit=5${next === '' ? '' : `&continue=${next}`}`)
      const { metadata, items } = page.json as { metadata: Listed; items: unknown[] }
      seen.push(...namesIn(items))
      revisions.push(metadata.revision)
      expect(page.headers.get('link')).toBe(
        metadata.continue === undefined
          ? null
          : `</api/v1/servers?limit=5&continue=${metadata.continue}>; rel="next"`,
      )
      next = metadata.continue
      // One that the cursor stands on, one before it and one behind it.
      await makeAll(call, [server(`a${i}`), server(`z${i}`)])
      if (i === 1) await call('DELETE', `/api/v1/servers/${seen.at(-1)}`)
    }
    expect(seen.filter((name) => name.startsWith('s'))).toEqual(stay)
    expect(new Set(seen).size).toBe(seen.length)
    // Where a watch begins that misses nothing of any page.
    expect(new Set(revisions)).toEqual(new Set([1]))
  }))

test('a cursor goes on with its own list only', () =>
  withControl(async ({ call }) => {
    await makeAll(call, [server('a'), server('b'), server('c')])
    const { metadata } = (await call('GET', '/api/v1/servers?limit=1')).json as { metadata: Listed }
    const go = async (query: string) => (await call('GET', `/api/v1/${query}`)).status
    expect(await go(`servers?limit=2&continue=${metadata.continue}`)).toBe(200)
    for (const query of [
      `servers?limit=1&labelSelector=x&continue=${metadata.continue}`,
      `projects?limit=1&continue=${metadata.continue}`,
      `servers?output=table&continue=${metadata.continue}`,
      'servers?continue=nothing',
      `servers?continue=${Buffer.from('[1,2]').toString('base64url')}`,
      `servers?continue=${'A'.repeat(5000)}`,
      'servers?limit=0',
      'servers?limit=10001',
      'servers?limit=-1',
    ])
      expect(await go(query), query).toBe(400)
  }))

test('a table of several pages looks like one', () =>
  withControl(async ({ call }) => {
    await makeAll(call, [server('a'), server('b'), server('a-long-name-on-the-last-page')])
    const whole = await call('GET', '/api/v1/servers?output=wide')
    let text = ''
    let address: string | undefined = '/api/v1/servers?output=wide&limit=1'
    while (address !== undefined) {
      const page = await call('GET', address)
      text += page.text
      address = /^<(.*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    }
    expect(text).toBe(whole.text)
    expect(whole.headers.get('link')).toBeNull()
  }))

const SELECTED = [
  ['labelSelector=team=blue', ['a', 'b']],
  ['labelSelector=team==blue,env!=prod', ['b']],
  ['labelSelector=env!=prod', ['b', 'c', 'd']],
  ['labelSelector=env in (prod, dev)', ['a', 'b']],
  ['labelSelector=env notin (prod,dev)', ['c', 'd']],
  ['labelSelector=team', ['a', 'b', 'c']],
  ['labelSelector=!team', ['d']],
  ['labelSelector=team,!env', ['c']],
  ['labelSelector=constructor', []],
  ['labelSelector=', ['a', 'b', 'c', 'd']],
  ['fieldSelector=metadata.name=b', ['b']],
  ['fieldSelector=metadata.name!=b,spec.command=x', ['a', 'c']],
  ['fieldSelector=spec.command=y', ['d']],
  ['fieldSelector=spec.transport!=stdio', []],
  ['fieldSelector=spec.timeouts.callSeconds=300', ['a', 'b', 'c', 'd']],
  ['fieldSelector=metadata.project=demo', []],
  ['fieldSelector=spec.command=x&labelSelector=team', ['a', 'b', 'c']],
] as const

test('selectors, of labels as kubectl reads them and of fields', () =>
  withControl(async ({ call }) => {
    await makeAll(call, [
      server('a', { team: 'blue', env: 'prod' }),
      server('b', { team: 'blue', env: 'dev' }),
      server('c', { team: 'red' }),
      server('d', {}, 'y'),
    ])
    for (const [query, names] of SELECTED) {
      const { items } = (await call('GET', encodeURI(`/api/v1/servers?${query}`))).json
      expect(namesIn(items), query).toEqual(names)
    }
  }))

const REFUSED = [
  ['labelSelector=a in b', 'labelSelector: term 1 must be key=value'],
  ['labelSelector=a=b,=c', 'labelSelector: term 2 must be key=value'],
  ['labelSelector=a=b=c', 'labelSelector: term 1 must be key=value'],
  [`labelSelector=${'a,'.repeat(65)}a`, 'labelSelector: may have 64 terms'],
  [`labelSelector=${'a'.repeat(5000)}`, 'labelSelector: may have 64 terms'],
  [
    'fieldSelector=spec.comand=x',
    'fieldSelector: term 1 names no field with a single value; did you mean command?',
  ],
  ['fieldSelector=spec.args=x', 'fieldSelector: term 1 names no field with a single value'],
  ['fieldSelector=spec=x', 'fieldSelector: term 1 must be FIELD=VALUE'],
  ['fieldSelector=spec.__proto__.x=y', 'fieldSelector: term 1'],
  ['fieldSelector=status.phase=Ready', 'fieldSelector: term 1 names a field that cannot be selected by'],
] as const

test('a selector that cannot be read is refused, and the answer says why', () =>
  withControl(async ({ call }) => {
    for (const [query, problem] of REFUSED) {
      const answer = await call('GET', encodeURI(`/api/v1/servers?${query}`))
      expect([answer.status, answer.json.problems?.[0]], query).toEqual([
        400,
        expect.stringContaining(problem),
      ])
    }
  }))
