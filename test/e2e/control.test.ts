import { describe, expect, test } from 'vitest'
import { EVERYTHING, withControl } from './control-harness.ts'

const PLANTED = 'planted-7f3c9a-secret'

describe('apply', () => {
  test('takes all kinds in any order, and twice changes nothing', () =>
    withControl(async ({ call, snapshot }) => {
      const first = await call('POST', '/api/v1/apply', EVERYTHING)
      expect(first.status).toBe(200)
      expect(first.json.results?.map(({ kind, name, action }) => [kind, name, action])).toEqual([
        ['Secret', 'keys', 'created'],
        ['Server', 'remote', 'created'],
        ['Server', 'notes', 'created'],
        ['Project', 'demo', 'created'],
        ['Token', 'laptop', 'created'],
      ])
      const { revision } = snapshot.current()
      const second = await call('POST', '/api/v1/apply', EVERYTHING)
      expect(second.json.results?.map(({ action }) => action)).toEqual(Array(5).fill('unchanged'))
      expect(second.text).not.toContain('cst_')
      expect(snapshot.current().revision).toBe(revision)
    }))

  test('a dry run says what would be done and does not', () =>
    withControl(async ({ call, entries }) => {
      const answer = await call('POST', '/api/v1/apply?dryRun=true', EVERYTHING)
      expect(answer.json.results?.map(({ action }) => action)).toEqual(Array(5).fill('created'))
      expect(answer.text).not.toContain('cst_')
      expect((await call('GET', '/api/v1/servers')).json.items).toEqual([])
      expect(entries).toEqual([])
    }))

  test.each([
    ['json', (text: string) => text],
    ['yaml', (text: string) => text],
  ])('what get answers as %s can be applied and is unchanged, for every kind', (output, body) =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      for (const word of ['secrets', 'servers', 'projects', 'tokens']) {
        const read = await call('GET', `/api/v1/${word}?output=${output}`)
        const again = await call('POST', '/api/v1/apply', output === 'json' ? read.json : body(read.text))
        expect(again.status, again.text).toBe(200)
        expect(new Set(again.json.results?.map(({ action }) => action))).toEqual(new Set(['unchanged']))
      }
    }),
  )

  test('one bad document and nothing is applied; each problem names its document', () =>
    withControl(async ({ call }) => {
      const bad = `${EVERYTHING}---\napiVersion: castellan/v1\nkind: Server\nmetadata: {name: foo}\nspec: {transport: http, urll: 'https://x.example'}\n`
      const answer = await call('POST', '/api/v1/apply', bad)
      expect(answer.status).toBe(400)
      expect(answer.json.problems).toEqual([
        'document 6 (Server/foo): spec.url: is required',
        'document 6 (Server/foo): spec.urll: unknown field; did you mean url?',
      ])
      expect((await call('GET', '/api/v1/secrets')).json.items).toEqual([])
    }))

  test.each([
    [
      'an unknown kind',
      'kind: Servr\napiVersion: castellan/v1',
      'kind: there is no such kind; did you mean Server?',
    ],
    [
      'a kind in the plural',
      'kind: servers\napiVersion: castellan/v1',
      'kind: there is no such kind; did you mean Server?',
    ],
    [
      'another version',
      'kind: Project\napiVersion: v2\nmetadata: {name: a}\nspec: {}',
      'document 1 (Project/a): apiVersion: must be castellan/v1',
    ],
    [
      'a reference to nothing',
      'kind: Project\napiVersion: castellan/v1\nmetadata: {name: a}\nspec: {servers: [gone]}',
      'document 1 (Project/a): spec.servers[0]: there is no Server by that name',
    ],
    [
      'a token of no project',
      'kind: Token\napiVersion: castellan/v1\nmetadata: {name: a, project: gone}\nspec: {}',
      'document 1 (Token/a): metadata.project: there is no Project by that name',
    ],
    [
      'a null that keeps nothing',
      'kind: Secret\napiVersion: castellan/v1\nmetadata: {name: a}\nspec: {data: {k: null}}',
      'document 1 (Secret/a): spec.data.k: null keeps the stored value, and there is none; give one',
    ],
    [
      'the same field twice',
      'kind: Secret\nkind: Secret',
      'document 1, line 2, column 1: the same field is given twice',
    ],
    [
      'a date in the past',
      'kind: Project\napiVersion: castellan/v1\nmetadata: {name: p}\nspec: {}\n---\nkind: Token\napiVersion: castellan/v1\nmetadata: {name: a, project: p}\nspec: {ttl: 2020-01-01}',
      'document 2 (Token/a): spec.ttl: lies in the past',
    ],
  ])('refuses %s', (_, body, problem) =>
    withControl(async ({ call }) => {
      const answer = await call('POST', '/api/v1/apply', body)
      expect(answer.status).toBe(400)
      expect(answer.json.problems?.join('\n')).toContain(problem)
    }),
  )

  test('refuses the same resource twice', () =>
    withControl(async ({ call }) => {
      const project = 'apiVersion: castellan/v1\nkind: Project\nmetadata: {name: a}\nspec: {}\n'
      const answer = await call('POST', '/api/v1/apply', `${project}---\n${project}`)
      expect(answer.json.problems).toEqual([
        'document 2 (Project/a): is given twice; also in document 1 (Project/a)',
      ])
    }))
})

describe('references', () => {
  test('what is referred to cannot be deleted, and the answer says by whom', () =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const rows = [
        ['secrets/keys', 'Secret/keys is used by Server/remote'],
        ['servers/notes', 'Server/notes is used by Project/demo'],
        ['projects/demo', 'Project/demo is used by Token/demo/laptop'],
      ]
      for (const [path, problem] of rows) {
        const answer = await call('DELETE', `/api/v1/${path}`)
        expect(answer.status).toBe(409)
        expect(answer.json.problems).toEqual([problem])
      }
      for (const path of ['tokens/laptop?project=demo', 'projects/demo', 'servers/remote', 'secrets/keys']) {
        expect((await call('DELETE', `/api/v1/${path}`)).status).toBe(200)
      }
    }))

  test('a key that a server uses cannot be taken out of its secret', () =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const answer = await call('PATCH', '/api/v1/secrets/keys', {
        spec: { data: { token: null, other: 'x' } },
      })
      expect(answer.status).toBe(409)
      expect(answer.json.problems).toEqual(['Secret/keys: the key token is used by Server/remote'])
    }))

  test('a key that a secret does not have cannot be used', () =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const answer = await call('PATCH', '/api/v1/servers/remote', {
        spec: { headers: [{ name: 'X-Key', valueFrom: { secretRef: { name: 'keys', key: 'nope' } } }] },
      })
      expect(answer.json.problems).toEqual([
        'spec.headers[0].valueFrom.secretRef: the Secret keys has no such key',
      ])
    }))
})

describe('secrets', () => {
  test('a planted value comes back nowhere', () =>
    withControl(async ({ call, entries, snapshot, store }) => {
      const answers = [await call('POST', '/api/v1/apply', EVERYTHING)]
      const get = async (path: string) => void answers.push(await call('GET', path))
      for (const output of ['table', 'wide', 'yaml', 'json', 'name']) {
        await get(`/api/v1/secrets?output=${output}`)
        await get(`/api/v1/secrets/keys?output=${output}`)
        await get(`/api/v1/servers?output=${output}`)
      }
      await get('/api/v1/secrets/keys?output=describe')
      await get('/api/v1/servers/remote?output=describe')
      await get('/api/v1/openapi.json')
      await get('/api/v1/status?output=table')
      answers.push(
        await call('POST', '/api/v1/secrets', manifest({ data: { token: PLANTED, 'a b': PLANTED } })),
      )
      answers.push(await call('POST', '/api/v1/secrets', manifest({ data: { token: [PLANTED] } })))
      answers.push(await call('POST', '/api/v1/secrets', manifest({ dta: { [PLANTED]: PLANTED } })))
      answers.push(await call('POST', '/api/v1/secrets', `kind: Secret\nspec: {data: {token: "${PLANTED}}`))
      answers.push(
        await call('POST', '/api/v1/secrets', `{"${PLANTED}`, { 'content-type': 'application/json' }),
      )
      answers.push(await call('PUT', '/api/v1/secrets/keys', manifest({ data: { token: PLANTED } }, PLANTED)))
      expect(
        answers
          .map(({ text }) => text)
          .join('\n')
          .replaceAll('spec.dta', ''),
      ).not.toContain(PLANTED)
      expect(JSON.stringify(entries)).not.toContain(PLANTED)
      const rows = await store.control.selectFrom('resources').selectAll().execute()
      const sealed = await store.control.selectFrom('sealed').selectAll().execute()
      expect(JSON.stringify([rows, sealed])).not.toContain(PLANTED)
      expect(snapshot.secretValue('keys', 'token')?.reveal()).toBe(PLANTED)
    }))

  test('null keeps the value, and a new value changes the fingerprint of the servers that use it', () =>
    withControl(async ({ call, snapshot }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const before = snapshot.current()
      const more = await call('PATCH', '/api/v1/secrets/keys', { spec: { data: { extra: 'more' } } })
      expect(more.json['status']).toEqual({ sizes: { token: PLANTED.length, extra: 4 } })
      expect(snapshot.secretValue('keys', 'token')?.reveal()).toBe(PLANTED)
      expect(snapshot.current().server('remote')).toBe(before.server('remote'))
      await call('PATCH', '/api/v1/secrets/keys', { spec: { data: { token: 'changed' } } })
      expect(snapshot.current().server('remote')?.fingerprint).not.toBe(before.server('remote')?.fingerprint)
      expect(snapshot.current().server('notes')).toBe(before.server('notes'))
      expect(snapshot.current().project('demo')).not.toBe(before.project('demo'))
    }))
})

const manifest = (spec: unknown, name = 'other') => ({
  apiVersion: 'castellan/v1',
  kind: 'Secret',
  metadata: { name },
  spec,
})
