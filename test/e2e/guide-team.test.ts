import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { findEmbeddedPostgres, startPostgres } from '../fixtures/postgres.ts'
import { isAsSaid, readPage, writePage, type Step } from './guide-page.ts'
import { openTerminal, type Terminal } from './guide-terminal.ts'
import { castellan, createCleanUp } from './system-harness.ts'

/*
 * docs/guides/team.md as its reader works through it: each command of it, in their terminals, in an empty home, with a
 * real identity provider, and on both stores. `vitest -u` writes what was printed into the page.
 */

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = join(REPOSITORY, 'docs/guides/team.md')
const CLIENT_SECRET = 'not-for-anybody-else'
const DOCUMENTED = {
  home: '/home/you',
  issuer: 'https://login.example.com',
  database: 'postgres://castellan:secret@127.0.0.1:5432/castellan',
}

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

/** What stands in the page, and what stands for it here: addresses alone. */
type Real = readonly (readonly [documented: string, real: string])[]
const toReal = (text: string, real: Real): string =>
  real.reduce((all, [documented, here]) => all.replaceAll(documented, here), text)
const toDocumented = (text: string, real: Real): string =>
  real.reduce((all, [documented, here]) => all.replaceAll(here, documented), text)

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-guide-'))
  cleanUp.later(() => rmSync(home, { recursive: true, force: true }))
  symlinkSync(REPOSITORY, join(home, 'castellan'))
  mkdirSync(join(home, 'castellan-team'))
  writeFileSync(join(home, 'castellan-team/company.secret'), CLIENT_SECRET)
  return home
}

async function startProvider(daemonPort: number): Promise<OidcProvider> {
  const provider = await startOidcProvider({
    accounts: {
      grace: {
        email: 'grace@example.com',
        email_verified: true,
        name: 'Grace Hopper',
        groups: ['engineering'],
      },
    },
    clientSecret: CLIENT_SECRET,
    redirectUris: [`http://127.0.0.1:${daemonPort}/oauth/sign-in/callback`],
  })
  cleanUp.later(() => provider.close())
  return provider
}

async function startDatabase(): Promise<string> {
  const postgres = await startPostgres(await findEmbeddedPostgres())
  cleanUp.later(() => postgres.close())
  return postgres.createDatabase('castellan')
}

/** @returns what each step printed, in the words of the page */
async function workThrough(
  steps: readonly Step[],
  { home, real }: { readonly home: string; readonly real: Real },
): Promise<ReadonlyMap<Step, string>> {
  const terminals = new Map<string, Terminal>()
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    // Grace, in front of a browser.
    BROWSER: `${process.execPath} ${join(REPOSITORY, 'test/fixtures/browser.ts')} grace %s`,
    // No keychain: that of whoever runs the tests is none of our business.
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/none`,
  }
  const every = steps.filter(({ terminal }) => terminal === 'every')
  const printed = new Map<Step, string>()
  const carryOut = async (terminal: Terminal, step: Step): Promise<void> => {
    let all = ''
    for (const command of step.commands) {
      const said = await terminal.run(toReal(command, real))
      all += said.printed
      const isAsMeant = (said.status === 0) !== step.marks.includes('refused')
      expect(isAsMeant, `docs/guides/team.md:${step.line}: ${command}\n${said.printed}`).toBe(true)
    }
    printed.set(step, toDocumented(all, real).trimEnd())
  }
  for (const step of steps) {
    if (step.terminal === 'every') continue
    let terminal = terminals.get(step.terminal)
    if (terminal === undefined) {
      terminal = openTerminal(home, env)
      terminals.set(step.terminal, terminal)
      for (const one of every) await carryOut(terminal, one)
    }
    await carryOut(terminal, step)
  }
  for (const terminal of terminals.values()) terminal.close()
  return printed
}

const hasPython = spawnSync('python3', ['--version']).status === 0

test.for(['postgres', 'sqlite'])(
  'the guide for a team does what it says, on %s',
  { timeout: 240_000 },
  async (store) => {
    const home = makeHome()
    cleanUp.later(() => endDaemons(home))
    const ports = await Promise.all(
      ['7411', '7412', '7413'].map(async (port) => [port, String(await freePort())] as const),
    )
    const provider = await startProvider(Number(ports[0]?.[1]))
    const real: Real = [
      [DOCUMENTED.home, home],
      [DOCUMENTED.issuer, provider.issuer],
      ...(store === 'postgres' ? [[DOCUMENTED.database, await startDatabase()] as const] : []),
      ...ports,
    ]
    const page = readFileSync(PAGE, 'utf8')
    const parts = readPage(page)
    expect(writePage(parts, new Map())).toBe(page)
    const steps = parts
      .flatMap((part) => ('step' in part ? [part.step] : []))
      .filter(({ marks }) => store === 'postgres' || !marks.includes('postgres'))
      .filter(({ marks }) => hasPython || !marks.includes('python'))
    const printed = await workThrough(steps, { home, real })
    await expect(writePage(parts, printed)).toMatchFileSnapshot(PAGE)
  },
)

test.each([
  ['token (pid 12, 30 ms)', 'token (pid 3456, 4.5 s)', true],
  ['a   b', 'a       b  ', true],
  ['first\n…\nlast', 'first\nsecond\nthird\nlast', true],
  ['from … to', 'from here to', true],
  ['at 2026-11-21T18:33:01.205Z', 'at 2027-01-01T00:00:00Z', true],
  ['at 2026-11-21T18:33:01.205Z', 'at noon', false],
  ['passed', 'failed', false],
  ['one', 'one\ntwo', false],
  ['', 'something', false],
])('the page may say %j where %j is printed: %j', (said, printed, may) => {
  expect(isAsSaid(said, printed)).toBe(may)
})

/** Where a command was not what it should be, the daemons of the guide are still there. */
async function endDaemons(home: string): Promise<void> {
  for (const name of ['edge', 'second', 'daemon'])
    await castellan(['down', '--force', '--home', join(home, 'castellan-team', name)])
}
