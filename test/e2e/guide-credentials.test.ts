import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { BIN } from '../fixtures/daemon.ts'
import { startOidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider } from '../fixtures/resource-provider.ts'
import { browse } from './guide-browser.ts'
import { readPage, writePage, type Part, type Step } from './guide-page.ts'
import {
  endDaemons,
  freePort,
  makeReadersHome,
  REPOSITORY,
  startDatabase,
  workThrough,
  type Real,
} from './guide-reader.ts'
import { startKeyed, startSilentIssuer } from './guide-servers.ts'
import { createCleanUp } from './system-harness.ts'

/*
 * docs/guides/credentials.md as its reader works through it: each command of it, with servers that look at what they
 * are sent, and people at their browsers; on both stores. `vitest -u` writes what was printed into the page.
 */

const NAME = 'docs/guides/credentials.md'
const PAGE = join(REPOSITORY, NAME)
const FOLDER = 'castellan-keys'
const OPTION = /(?<![\w-])--[a-z][a-z-]+/g
const CLIENT = { id: 'castellan', secret: 'made-by-the-tracker' }

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

const keep = async <T extends { close(): unknown }>(starting: Promise<T>): Promise<T> => {
  const part = await starting
  cleanUp.later(() => part.close())
  return part
}

/** Credentials that the reader has, in files; whose each is, as the server knows them. */
function makeKeys(folder: string): {
  readonly search: Map<string, string>
  readonly acme: Map<string, string>
} {
  const put = (file: string, head = 'key_'): string => {
    const value = `${head}${randomUUID().replaceAll('-', '')}`
    writeFileSync(join(folder, file), `${value}\n`)
    return value
  }
  put('github.token', 'ghp_')
  return {
    search: new Map([
      [put('search.key'), 'the team'],
      [put('search-work.key'), 'the company'],
    ]),
    acme: new Map([[put('acme.key'), 'a customer of Acme']]),
  }
}

const originOf = ({ url }: { readonly url: string }): string => new URL(url).origin

/** The servers of the page. */
async function startServers(folder: string): Promise<Real> {
  const keys = makeKeys(folder)
  const provider = await keep(startResourceProvider({ accounts: ['you', 'ada', 'grace'] }))
  const issuer = await keep(startSilentIssuer(CLIENT.id, CLIENT.secret))
  const search = await keep(startKeyed({ header: 'X-Api-Key', keys: () => keys.search, tool: 'find' }))
  const rockets = await keep(startKeyed({ header: 'X-Acme-Key', keys: () => keys.acme, tool: 'launch' }))
  const tracker = await keep(
    startKeyed({ header: 'Authorization', keys: () => issuer.issued, tool: 'tickets' }),
  )
  return [
    ['https://search.example.com', originOf(search)],
    // Nobody is there, and nothing may be sent there.
    ['https://search.example.org', `http://localhost:${await freePort()}`],
    ['https://rockets.example.com', originOf(rockets)],
    ['https://login.tracker.example.com', issuer.origin],
    ['https://tracker.example.com', originOf(tracker)],
    ['https://notes.example.com', originOf(provider)],
    ['https://login.example.com', provider.issuer],
  ]
}

const program = (name: string): string => `${process.execPath} ${join(REPOSITORY, 'test/e2e', name)}`
const hasTerminal = spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0

/** PostgreSQL changes how things are stored, and whose they are: parts of the page about that. */
const STORED = /^## (?:Before you start|1\.|8\.|9\.|10\.|Clean up)/

/** Those of the page that are worked through on a store. */
function stepsOf(parts: readonly Part[], store: string): Step[] {
  let isMeant = true
  const steps: Step[] = []
  for (const part of parts) {
    const heading = 'text' in part ? part.text.match(/^## .*/gm)?.at(-1) : undefined
    if (heading !== undefined) isMeant = store === 'sqlite' || STORED.test(heading)
    if ('step' in part && isMeant) steps.push(part.step)
  }
  return steps
    .filter(({ marks }) => store === 'postgres' || !marks.includes('postgres'))
    .filter(({ marks }) => hasTerminal || !marks.includes('typed'))
}

/** A company, and a server of somebody else that takes its word for who is calling. */
async function startCompany(folder: string, daemonPort: string): Promise<Real> {
  const secret = randomUUID()
  writeFileSync(join(folder, 'wiki.secret'), `${secret}\n`)
  const company = await keep(
    startOidcProvider({
      accounts: { cleo: { email: 'cleo@example.com', email_verified: true } },
      redirectUris: [`http://127.0.0.1:${daemonPort}/oauth/sign-in/callback`],
      offline: true,
    }),
  )
  const wiki = await keep(
    startResourceProvider({
      accounts: ['cleo'],
      trusts: { issuer: company.issuer, clientId: company.clientId },
      clients: [{ clientId: 'castellan-at-wiki', secret }],
    }),
  )
  return [
    ['https://login.company.example', company.issuer],
    ['https://wiki.example.com', originOf(wiki)],
    ['https://login.wiki.example.com', wiki.issuer],
  ]
}

/** What the person in front of a terminal is called. */
const personAt = (terminal: string): string => (terminal === 'host' ? 'you' : terminal)

/** How many values are left is said each time that it has changed when the command asks, which is the machine's affair. */
const withoutProgress = (printed: ReadonlyMap<Step, string>): ReadonlyMap<Step, string> =>
  new Map(
    [...printed].map(([step, text]) => [step, text.replaceAll(/^\d+ values are to be sealed anew\n/gm, '')]),
  )

test.for(['sqlite', 'postgres'])(
  'the guide for credentials does what it says, on %s',
  { timeout: 240_000 },
  async (store) => {
    const home = makeReadersHome(FOLDER, cleanUp)
    const folder = join(home, FOLDER)
    cleanUp.later(() => endDaemons([join(folder, 'daemon')]))
    const port = String(await freePort())
    const real: Real = [
      ['/home/you', home],
      ...(await startServers(folder)),
      ...(await startCompany(folder, port)),
      ...(store === 'postgres'
        ? [['postgres://castellan:secret@127.0.0.1:5432/castellan', await startDatabase(cleanUp)] as const]
        : []),
      ['7411', port],
    ]
    const page = readFileSync(PAGE, 'utf8')
    const parts = readPage(page)
    expect(writePage(parts, new Map())).toBe(page)
    const steps = stepsOf(parts, store)
    const passwordOf = (person: string): string => join(folder, `${person}.password`)
    const printed = await workThrough(steps, {
      page: NAME,
      home,
      real,
      env: (terminal) => ({
        BROWSER: `${program('guide-browser.ts')} ${personAt(terminal)} ${passwordOf(terminal)} %s`,
      }),
      runs: {
        typed: (command, terminal) =>
          command.replace(
            /^castellan/,
            `${program('guide-typist.ts')} ${personAt(terminal)} ${process.execPath} ${BIN}`,
          ),
      },
      acts: {
        link: async (said, terminal) => {
          const link = /http:\/\/[^\s"]+\/connect\/[\w.-]+/.exec(said)?.[0] ?? ''
          const password = (): string => readFileSync(passwordOf(terminal), 'utf8').trim()
          expect(await browse(link, { name: terminal, password })).toContain('<h1>Connected</h1>')
        },
      },
    })
    await expect(writePage(parts, withoutProgress(printed))).toMatchFileSnapshot(PAGE)
  },
)

test('every message that the page explains is one that is printed', () => {
  const sources = globSync('src/**/*.ts', { cwd: REPOSITORY })
    .map((file) => readFileSync(join(REPOSITORY, file), 'utf8'))
    .join('\n')
  const [, table = ''] = readFileSync(PAGE, 'utf8').split('| it says')
  const messages = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, message = '']) => message)
  expect(messages.length).toBeGreaterThan(10)
  const pieces = messages.flatMap((message) => message.split('…')).filter((piece) => /\w/.test(piece))
  expect(pieces.filter((piece) => !sources.includes(piece))).toEqual([])
})

test.for([NAME, 'docs/grants.md', 'docs/cli.md', 'docs/operations.md'])(
  'every option in %s is one that there is',
  (file) => {
    const help = readFileSync(join(REPOSITORY, 'test/golden/cli-help.golden.txt'), 'utf8')
    const known = new Set(help.match(OPTION))
    const page = readFileSync(join(REPOSITORY, file), 'utf8')
    const named = [...page.matchAll(/```sh.*?```|`[^`\n]+`/gs)].flatMap(([code]) => code.match(OPTION) ?? [])
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((option) => !known.has(option))).toEqual([])
  },
)
