import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { startParrot, type Parrot } from '../fixtures/parrot-upstream.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { startStage, type Stage } from './canary-stage.ts'
import { createCleanUp, httpServer, manifests, modern, project, send } from './system-harness.ts'

/* The same with everything in PostgreSQL: whoever has a dump of the database has no credential. */

const DATABASE = 'canary'
const cleanUp = createCleanUp()
let postgres: TestPostgres
let authorization: AuthorizationServer
let parrot: Parrot
let stage: Stage
let tokens: { readonly mine: string; readonly theirs: string }

beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
  cleanUp.later(() => postgres.close())
  parrot = await startParrot(
    (_, headers) => headers['x-api-key']?.toString() ?? headers.authorization?.slice(7),
    () => '',
  )
  cleanUp.later(() => parrot.close())
  authorization = await startAuthorizationServer({ behind: parrot.url })
  cleanUp.later(() => authorization.close())
  stage = await startStage({ env: { CASTELLAN_DATABASE: await postgres.createDatabase(DATABASE) } })
  cleanUp.later(() => stage.close())
  stage.scanner.plant('password of the database', postgres.password)
  const key = { grant: 'mcp:own', header: 'X-Api-Key' }
  const input = manifests(
    httpServer('shared', parrot.url, { auth: { ...key, grant: 'mcp:shared' } }),
    httpServer('own', parrot.url, { auth: { ...key, whose: 'per-user' } }),
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } }),
    project('demo', ['shared', 'own', 'notes']),
    { apiVersion: 'castellan/v1', kind: 'User', metadata: { name: 'ada' }, spec: {} },
    {
      apiVersion: 'castellan/v1',
      kind: 'RoleBinding',
      metadata: { name: 'ada' },
      spec: { subjects: [{ kind: 'User', name: 'ada' }], bindings: [{ role: 'run', resource: '*' }] },
    },
  )
  expect(await stage.run(['apply', '-f', '-'], { input })).toMatchObject({ status: 0 })
  tokens = { mine: await createToken(), theirs: await createToken('ada') }
})
afterAll(() => cleanUp.run())

/** Every value of every table, as text. */
async function dump(): Promise<string> {
  const tables = (await postgres.query(
    DATABASE,
    `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name FROM information_schema.tables
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`,
  )) as { readonly name: string }[]
  const rows = await Promise.all(
    tables.map(({ name }) =>
      postgres.query(DATABASE, `SELECT '${name}' AS of, t::text AS row FROM ${name} AS t`),
    ),
  )
  return JSON.stringify(rows, undefined, 1)
}

async function createToken(owner?: string): Promise<string> {
  const spec =
    owner === undefined
      ? {}
      : { owner: { kind: 'User', name: owner }, bindings: [{ role: 'run', resource: '*' }] }
  const name = `of-${owner ?? 'nobody'}`
  const token = { apiVersion: 'castellan/v1', kind: 'Token', metadata: { name, project: 'demo' }, spec }
  const { text } = await stage.admin('POST', '/api/v1/tokens', token, [name])
  const { secret } = JSON.parse(text) as { readonly secret: string }
  stage.scanner.plant(name, secret)
  return secret
}

/** Somebody's way over the page of a link: what they type is wrong first. */
async function connectOnPage(ticket: string): Promise<void> {
  const at = `/connect/${ticket}`
  let cookie = ''
  const visit = async (fields?: Readonly<Record<string, string>>): Promise<string> => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const posted = { method: 'POST', body: new URLSearchParams(fields).toString() }
    const shows = ['ticket', 'cookie', 'mark']
    const sending = { headers: { cookie, ...(fields && type) }, ...(fields && posted) }
    const { status, headers, text } = await stage.http(at, sending, shows)
    cookie = headers['set-cookie']?.[0]?.split(';', 1)[0] ?? cookie
    stage.scanner.plant('cookie', cookie.slice(cookie.indexOf('=') + 1))
    const mark = /name="mark" value="([^"]+)"/.exec(text)?.[1] ?? ''
    if (mark !== '') stage.scanner.plant('mark', mark)
    return status === 303 ? visit() : mark
  }
  const password = stage.plant('password')
  await stage.admin('POST', '/api/v1/users/ada/password', { password })
  const entering = { do: 'password', user: 'ada' }
  const again = await visit({ ...entering, mark: await visit(), password: stage.plant('wrong password') })
  const consent = await visit({ ...entering, mark: again, password })
  const giving = { do: 'connect', 'value.token': `${stage.plant('bad key')} é` }
  const refused = await visit({ ...giving, mark: consent })
  await visit({ ...giving, mark: refused, 'value.token': stage.plant('key on the page') })
  const { text } = await stage.admin('GET', '/api/v1/grants?for=user:ada')
  expect(text).toContain('mcp:own')
}

const call = async (token: string, name: string, shows: readonly string[] = []): Promise<string> => {
  const { headers, ...sending } = modern('tools/call', { name, arguments: {} })
  const by = { ...sending, headers: { ...headers, authorization: `Bearer ${token}` } }
  return (await stage.http('/projects/demo/mcp', by, shows)).text
}

test('a dump of the database, at every moment of an authorization and after everything', async () => {
  const { mine, theirs } = tokens
  const answered = await call(theirs, 'own__result', ['ticket'])
  const [, ticket] = /\/connect\/([\w.-]+)/.exec(answered) ?? []
  if (ticket === undefined) throw new Error(`no link: ${answered}`)
  stage.scanner.plant('ticket', ticket)
  await connectOnPage(ticket)
  for (const [name, server, whose] of [
    ['mcp:shared', 'shared'],
    ['mcp:own', 'own', 'user:ada'],
  ] as const) {
    const values = { token: stage.plant(name) }
    expect((await stage.admin('PUT', `/api/v1/grants/${name}`, { values, server, for: whose })).status).toBe(
      200,
    )
  }
  const { text } = await stage.admin('POST', '/api/v1/grants', { name: 'notes', server: 'notes' }, ['state'])
  const { authorizeUrl } = JSON.parse(text) as { readonly authorizeUrl: string }
  stage.scanner.plant('state', new URL(authorizeUrl).searchParams.get('state') ?? '')
  stage.observe('the database, while somebody authorizes', await dump())
  const { headers } = await send(authorizeUrl)
  const back = new URL(String(headers['location']))
  expect((await stage.http(back.pathname + back.search)).text).toContain('is authorized')
  for (const tool of ['shared__result', 'notes__result', 'notes__forbidden']) await call(mine, tool)
  await call(theirs, 'own__structured')
  await stage.run(['grant', 'refresh', 'oauth:notes'])
  await call(mine, 'notes__error')
  await stage.run(['keys', 'rotate'])
  await call(mine, 'shared__error')
  const after = await dump()
  for (const word of ['oauth:notes', 'inject grants', 'authorization', 'x-api-key'])
    expect(after).toContain(word)
  stage.observe('the database', after)
  for (const secret of authorization.secrets) stage.scanner.plant('issued', secret)
  for (const field of ['code_verifier', 'code'])
    stage.scanner.plant(field, authorization.last('code').get(field) ?? 'none')
  expect(authorization.last('code').get('code_verifier')).toHaveLength(43)
  expect(stage.found('all')).toEqual([])
  expect(stage.scanner.lookBelow(stage.home, ['master.key', 'admin-credential'])).toEqual([])
})

test('each use is on the record, with what was withheld and what its issuer refused', async () => {
  authorization.forget()
  await stage.run(['grant', 'refresh', 'oauth:notes'])
  await stage.admin('POST', '/api/v1/grants/mcp:shared/bind', { origins: ['https://elsewhere.example'] })
  expect(await call(tokens.mine, 'shared__result')).toContain('for another origin')
  expect(await call(tokens.mine, 'shared__result')).toContain('for another origin')
  const { stdout } = await stage.run(['audit', '--kind', 'grant', '--limit', '1000', '-o', 'json'])
  const { items } = JSON.parse(stdout) as { readonly items: readonly Readonly<Record<string, string>>[] }
  const said = items.map(({ event, grant, injected = '', principalName, decision, status = '', code = '' }) =>
    [event, grant, injected, principalName, decision, status, code].join(' ').trim(),
  )
  expect(said).toEqual(
    expect.arrayContaining([
      'create grants mcp:shared  local-admin allow ok',
      'inject grants mcp:shared x-api-key system allow',
      'inject grants mcp:own x-api-key ada allow',
      'register grants oauth:notes  system allow ok',
      'inject grants oauth:notes authorization system allow',
      'refresh grants oauth:notes  local-admin allow ok',
      'refresh grants oauth:notes  system allow ok',
      'refresh grants oauth:notes  system allow error invalid_grant',
      'bind grants mcp:shared  local-admin allow ok',
      'inject grants mcp:shared x-api-key system deny',
    ]),
  )
  expect(said.filter((one) => one.startsWith('inject grants mcp:shared x-api-key system deny'))).toHaveLength(
    1,
  )
  expect(stage.found()).toEqual([])
})
