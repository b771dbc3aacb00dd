import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runInMemory } from '../../test/e2e/cli-in-memory.ts'
import { selfSigned, type SelfSigned } from '../../test/fixtures/certificate.ts'
import { ALL_GLOBALS } from '../cli/global-options.ts'
import { chooseVerb } from '../cli/run-cli.ts'
import { COMMANDS } from './commands.ts'

/** Those examples that ask on a terminal, which there is none of here. */
const ASKS_ON_A_TERMINAL = new Set([
  'castellan create secret context7 key',
  'castellan grant bind gitlab https://gitlab.example.com --only',
])

/** Words of a line as a shell would split it, as far as examples need it. */
const wordsOf = (line: string): string[] =>
  Array.from(line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g), ([word]) => word.replaceAll(/['"]/g, ''))

/** The last command of an example, behind what it is fed by. */
const lineOf = (example: string): string => example.split(' | ').at(-1) ?? ''

/** The examples of each verb that asks the API, which are to work as they stand. */
const examples = new Map<string, readonly string[]>()
for (const { path, load, hidden } of COMMANDS) {
  const command = await load?.()
  if (command === undefined || hidden === true || !(command.globals ?? ALL_GLOBALS).includes('as')) continue
  const verb = path.join(' ')
  const own = command.examples.filter(
    (line) =>
      chooseVerb(wordsOf(lineOf(line)).slice(1), COMMANDS)?.verb.path === path &&
      !ASKS_ON_A_TERMINAL.has(line),
  )
  examples.set(verb, own.map(lineOf))
}

const cwd = mkdtempSync(join(tmpdir(), 'castellan-verbs-'))
mkdirSync(join(cwd, 'manifests'))
for (const file of ['servers.yaml', 'manifests/a.yaml'])
  writeFileSync(join(cwd, file), 'kind: Project\nmetadata: {name: a}\n')
writeFileSync(join(cwd, 'github.token'), 'x')
writeFileSync(join(cwd, 'next.key'), 'x', { mode: 0o600 })

const runLine = (line: string, env: Record<string, string>) =>
  runInMemory(wordsOf(line).slice(1), { stdin: 'kind: Project\n', verbs: COMMANDS, env, cwd })
const runAt = (line: string, url: string) => runLine(line, { CASTELLAN_URL: url, CASTELLAN_TOKEN: 'cst_x' })

interface Place {
  readonly url: string
  readonly asked: { readonly path: string; readonly as: unknown }[]
  close(): void
}

/** It refuses everything, as a daemon does: what is proven is that the verb reached it and reads its answer. */
async function place(tls: SelfSigned | undefined, control = () => ''): Promise<Place> {
  const asked: { path: string; as: unknown }[] = []
  const answer: RequestListener = (request, response) => {
    // Says that it is an edge, and where its control plane is; nobody counts that.
    if (request.url === '/edge-info') {
      response.end(JSON.stringify({ control: control() }))
      return
    }
    asked.push({ path: request.url ?? '', as: request.headers['x-castellan-as'] })
    response.writeHead(403, { 'content-type': 'application/problem+json' })
    response.end(JSON.stringify({ title: 'not for you', code: 'forbidden', hint: 'castellan auth rights' }))
  }
  const server = tls === undefined ? createHttpServer(answer) : createHttpsServer(tls, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const scheme = tls === undefined ? 'http' : 'https'
  return { url: `${scheme}://127.0.0.1:${port}`, asked, close: () => server.close() }
}

const pair = selfSigned()
const before = getCACertificates('default')
let http: Place, https: Place, untrusted: Place, second: Place
const places = () => [http, https, untrusted, second]
beforeAll(async () => {
  setDefaultCACertificates([...before, pair.cert])
  http = await place(undefined)
  second = await place(undefined, () => http.url)
  https = await place(pair)
  untrusted = await place(selfSigned())
  mkdirSync(join(cwd, '.config/castellan'), { recursive: true })
  const contexts = { work: { url: http.url, credential: 'none' } }
  writeFileSync(join(cwd, '.config/castellan/config.json'), JSON.stringify({ contexts }))
})
afterAll(() => {
  for (const one of places()) one.close()
  setDefaultCACertificates(before)
})

/** One line of each verb, all at once: a connection that is cut is tried again for seconds. */
const ofEachVerb = (url: string) =>
  Promise.all([...examples].map(async ([verb, [line = '']]) => [verb, await runAt(line, url)] as const))

test('each verb that asks the API has an example that works as it stands', async () => {
  expect([...examples].filter(([, lines]) => lines.length === 0)).toEqual([])
  for (const line of [...examples.values()].flat()) {
    http.asked.length = 0
    const ran = await runAt(line, http.url)
    expect([line, ran.code, ran.out]).toEqual([line, 1, ''])
    expect(ran.err).toMatch(/error: not for you\nhint: castellan auth rights\n$/)
    expect([line, http.asked.length > 0]).toEqual([line, true])
  }
})

test('each verb reaches a daemon over https, and prints what it refuses', async () => {
  for (const [verb, ran] of await ofEachVerb(https.url)) {
    expect([verb, ran.code, ran.out]).toEqual([verb, 1, ''])
    expect(ran.err).toMatch(/error: not for you\nhint: castellan auth rights\n$/)
  }
})

test.each([
  [
    'http to a port that speaks https',
    () => https.url.replace('https:', 'http:'),
    'is it https rather than http?',
  ],
  [
    'https to a port that speaks http',
    () => http.url.replace('http:', 'https:'),
    'is it http rather than https?',
  ],
  ['https to a certificate of nobody', () => untrusted.url, 'its certificate is refused'],
  ['http to a closed port', () => 'http://127.0.0.1:1', 'nothing listens there'],
  ['https to a closed port', () => 'https://127.0.0.1:1', 'nothing listens there'],
  ['no address at all', () => '127.0.0.1:7411', 'CASTELLAN_URL is not an http or https address'],
])('%s is, for each verb, one sentence and what to do', { timeout: 60_000 }, async (_, url, says) => {
  for (const [verb, ran] of await ofEachVerb(url())) {
    expect([verb, ran.out]).toEqual([verb, ''])
    expect([verb, ran.err]).toEqual([verb, expect.stringContaining(says)])
    expect(ran.err).toMatch(/error: [^\n]+\nhint: [^\n]+\n$/)
    expect([1, 2]).toContain(ran.code)
  }
})

describe('each global option, before the verb, within it and after it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'castellan-globals-'))
  const at = (name: string) => join(dir, name)
  const lines: (readonly [option: string, reaches: () => Place, as: string | undefined])[] = [
    ['--home HOME', () => http, undefined],
    ['--context other', () => https, undefined],
    ['--as User:ada', () => second, 'User:ada'],
    ['--direct', () => http, undefined],
  ]
  beforeAll(() => {
    mkdirSync(at('home'))
    const record = { pid: process.pid, url: http.url, startedAtMs: 0, version: '1' }
    writeFileSync(join(at('home'), 'daemon.json'), JSON.stringify(record))
    const contexts = {
      other: { url: https.url, credential: 'none' },
      current: { url: second.url, credential: 'none' },
    }
    writeFileSync(at('config.json'), JSON.stringify({ current: 'current', contexts }))
  })

  // oxfmt-ignore
  const FORMS = [
    ['before',     (option: string[]) => [...option, 'auth', 'who-can', 'view', 'servers']],
    ['within',     (option: string[]) => ['auth', ...option, 'who-can', 'view', 'servers']],
    ['after',      (option: string[]) => ['auth', 'who-can', ...option, 'view', 'servers']],
    ['at the end', (option: string[]) => ['auth', 'who-can', 'view', 'servers', ...option]],
    ['with =',     (option: string[]) => [option.join('='), 'auth', 'who-can', 'view', 'servers']],
  ] as const

  describe.each(lines)('%s', (option, reaches, as) => {
    test.each(FORMS)('%s changes who is asked, and how', async (_, form) => {
      for (const one of places()) one.asked.length = 0
      const words = option.replace('HOME', at('home')).split(' ')
      await runInMemory(form(words), { cwd: dir, env: { CASTELLAN_CONFIG: at('config.json') } })
      expect(places().filter(({ asked }) => asked.length > 0)).toEqual([reaches()])
      expect(reaches().asked.map((asked) => asked.as)).toEqual([as])
    })
  })
})
