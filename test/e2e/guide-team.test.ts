import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { isAsSaid, readPage, writePage } from './guide-page.ts'
import {
  endDaemons,
  freePort,
  makeReadersHome,
  REPOSITORY,
  startDatabase,
  workThrough,
  type Real,
} from './guide-reader.ts'
import { createCleanUp } from './system-harness.ts'

/*
 * docs/guides/team.md as its reader works through it: each command of it, in their terminals, in an empty home, with a
 * real identity provider, and on both stores. `vitest -u` writes what was printed into the page.
 */

const NAME = 'docs/guides/team.md'
const PAGE = join(REPOSITORY, NAME)
const CLIENT_SECRET = 'not-for-anybody-else'
const DOCUMENTED = {
  home: '/home/you',
  issuer: 'https://login.example.com',
  database: 'postgres://castellan:secret@127.0.0.1:5432/castellan',
}

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

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

const hasPython = spawnSync('python3', ['--version']).status === 0

test.for(['postgres', 'sqlite'])(
  'the guide for a team does what it says, on %s',
  { timeout: 240_000 },
  async (store) => {
    const home = makeReadersHome('castellan-team', cleanUp)
    writeFileSync(join(home, 'castellan-team/company.secret'), CLIENT_SECRET)
    cleanUp.later(() =>
      endDaemons(['edge', 'second', 'daemon'].map((name) => join(home, 'castellan-team', name))),
    )
    const ports = await Promise.all(
      ['7411', '7412', '7413'].map(async (port) => [port, String(await freePort())] as const),
    )
    const provider = await startProvider(Number(ports[0]?.[1]))
    const real: Real = [
      [DOCUMENTED.home, home],
      [DOCUMENTED.issuer, provider.issuer],
      ...(store === 'postgres' ? [[DOCUMENTED.database, await startDatabase(cleanUp)] as const] : []),
      ...ports,
    ]
    const page = readFileSync(PAGE, 'utf8')
    const parts = readPage(page)
    expect(writePage(parts, new Map())).toBe(page)
    const steps = parts
      .flatMap((part) => ('step' in part ? [part.step] : []))
      .filter(({ marks }) => store === 'postgres' || !marks.includes('postgres'))
      .filter(({ marks }) => hasPython || !marks.includes('python'))
    // Grace, in front of a browser.
    const browser = `${process.execPath} ${join(REPOSITORY, 'test/fixtures/browser.ts')} grace %s`
    const printed = await workThrough(steps, { page: NAME, home, real, env: () => ({ BROWSER: browser }) })
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
