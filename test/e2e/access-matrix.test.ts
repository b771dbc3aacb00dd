import { afterAll, beforeAll, expect, test } from 'vitest'
import { KINDS } from '../../src/kinds/registry.ts'
import { asker, startStand, type Answered, type Caller, type Stand, type Stored } from './access-stand.ts'
import { may, mayEver, VERBS, type Question } from './access-world.ts'
import { runInMemory } from './cli-in-memory.ts'

/*
 * Everybody × everything: what docs/access.md says of each (access-world.ts) is what each surface does. Kinds come from
 * the registry, so one that is added is in here; the surfaces are those that people and programs have.
 */

let stand: Stand

beforeAll(async () => {
  stand = await startStand()
}, 60_000)
afterAll(() => stand?.end())

/** What differs, at most twenty: a table of thousands tells nobody anything. */
const agree = (differences: readonly string[]): void => expect(differences.slice(0, 20)).toEqual([])

async function everyCaller(look: (caller: Caller) => Promise<readonly string[]>): Promise<void> {
  const found = await Promise.all(stand.callers.map(look))
  agree(found.flat())
}

const questionOf = (verb: string, plural: string, { metadata: { name, project } }: Stored): Question => ({
  verb,
  kind: plural,
  name,
  project,
})

const addressOf = (plural: string, { metadata: { name, project } }: Stored): string =>
  `/api/v1/${plural}/${name}${project === undefined ? '' : `?project=${project}`}`

function* everyObject(): Generator<readonly [plural: string, stored: Stored]> {
  for (const [plural, all] of stand.objects) for (const stored of all) yield [plural, stored]
}

/** The status of a refusal: a token hears one for all; people learn of what they may see that they may not change it. */
function refusalOf({ subject }: Caller, asked: Question): number {
  if (subject.token !== undefined || !mayEver(subject, asked.verb, asked.kind)) return 403
  const sees = may(subject, Object.assign({}, asked, { verb: 'view' }))
  return sees ? 403 : 404
}

function difference(
  caller: Caller,
  asked: Question,
  [what, got, allowed]: readonly [string, Answered, number],
): string[] {
  const wanted = may(caller.subject, asked) ? allowed : refusalOf(caller, asked)
  const { verb, kind, name, project = '' } = asked
  return got.status === wanted
    ? []
    : [
        `${caller.subject.label}: ${what} ${verb} ${kind} ${project}/${name}: ${got.status}, not ${wanted} ${got.text.slice(0, 300)}`,
      ]
}

test('there is something of each kind to be asked for', () => {
  expect([...stand.objects].filter(([, all]) => all.length === 0)).toEqual([])
})

test(
  'one object, by name and by uid: read, replaced, patched, deleted',
  () =>
    everyCaller(async (caller) => {
      const found: string[] = []
      for (const [plural, stored] of everyObject()) {
        const path = addressOf(plural, stored)
        const byUid = path.replace(/[^/?]+(?=\?|$)/, stored.metadata.uid)
        const asked = (verb: string) => questionOf(verb, plural, stored)
        found.push(
          ...difference(caller, asked('view'), ['GET', await caller.ask('GET', path), 200]),
          ...difference(caller, asked('view'), ['GET by uid', await caller.ask('GET', byUid), 200]),
        )
        // What the system makes is changed by nobody.
        if (KINDS.find((one) => one.plural === plural)?.systemMade === true) continue
        const patched = await caller.ask('PATCH', path, { body: {} })
        // Nothing that there is fits this tag: whoever may delete hears of it, and nothing is deleted.
        const deleted = await caller.ask('DELETE', path, { headers: { 'if-match': '"0"' } })
        found.push(
          ...difference(caller, asked('edit'), ['PUT', await caller.ask('PUT', path, { body: stored }), 200]),
          ...difference(caller, asked('edit'), ['PATCH', patched, 200]),
          ...difference(caller, asked('delete'), ['DELETE', deleted, 412]),
        )
      }
      return found
    }),
  120_000,
)

/** Who gives rights has to hold them: so these of an example are for administrators only. */
const FOR_ADMINISTRATORS: ReadonlySet<string> = new Set(['RoleBinding', 'IdentityProvider'])

/** What is named in a manifest needs a right of its own; here it is about the verb. */
const WITHOUT_REFERENCES: Readonly<Record<string, unknown>> = {
  Project: {},
  Server: { transport: 'http', url: 'https://mcp.example.com/mcp' },
}

test('creating, in a dry run', () =>
  everyCaller(async (caller) => {
    const found: string[] = []
    for (const { kind, plural, scope, systemMade, example } of KINDS) {
      if (systemMade === true) continue
      for (const project of scope === 'project' ? ['demo', 'other'] : [undefined]) {
        const metadata = Object.assign({ name: 'fresh' }, project && { project })
        const spec = WITHOUT_REFERENCES[kind] ?? example
        const manifest = { apiVersion: 'castellan/v1', kind, metadata, spec }
        const got = await caller.ask('POST', '/api/v1/apply?dryRun=true', { body: manifest })
        const asked = { verb: 'create', kind: plural, name: 'fresh', project }
        const isMore = FOR_ADMINISTRATORS.has(kind) && caller.subject.label !== 'admin'
        const wanted = may(caller.subject, asked) && !isMore ? 200 : 403
        if (got.status !== wanted)
          found.push(`${caller.subject.label}: create ${plural} ${project ?? ''}: ${got.status} ${got.text}`)
      }
    }
    return found
  }))

const nameOf = ({ metadata: { name, project } }: Stored): string =>
  project === undefined ? name : `${project}/${name}`

/** Whom a list shows what; undefined: not even the question is allowed. */
function listed({ subject }: Caller, plural: string): readonly string[] | undefined {
  if (!mayEver(subject, 'view', plural)) return undefined
  return (stand.objects.get(plural) ?? [])
    .filter((stored) => may(subject, questionOf('view', plural, stored)))
    .map(nameOf)
    .toSorted()
}

test(
  'lists, as JSON and as names, and what a watch begins with',
  () =>
    everyCaller(async (caller) => {
      const found: string[] = []
      const compare = (
        what: string,
        got: readonly string[] | undefined,
        wanted: readonly string[] | undefined,
      ): void => {
        if (JSON.stringify(got) !== JSON.stringify(wanted))
          found.push(
            `${caller.subject.label}: ${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`,
          )
      }
      for (const { plural, kind } of KINDS) {
        const wanted = listed(caller, plural)
        const list = await caller.ask('GET', `/api/v1/${plural}`)
        const items = (list.json['items'] ?? []) as Stored[]
        compare(`list ${plural}`, list.status === 403 ? undefined : items.map(nameOf).toSorted(), wanted)
        const names = await caller.ask('GET', `/api/v1/names/${plural}`)
        const bare = wanted?.map((name) => name.split('/').at(-1) ?? '').toSorted()
        compare(
          `names ${plural}`,
          names.status === 403 ? undefined : names.text.split('\n').filter(Boolean).toSorted(),
          bare,
        )
        if (kind !== 'Instance') compare(`watch ${plural}`, await watched(caller, plural), wanted)
      }
      return found
    }),
  60_000,
)

/** What a watch tells at first. An object whose name sorts last ends it: one list is told in one piece. */
async function watched({ credential }: Caller, plural: string): Promise<readonly string[] | undefined> {
  const hangUp = new AbortController()
  const response = await fetch(new URL(`/api/v1/${plural}?watch=true`, stand.gate.daemon.origin), {
    headers: { authorization: `Bearer ${credential}` },
    signal: hangUp.signal,
  })
  if (response.status === 403) return undefined
  const expected = listed(callerOf(credential), plural)?.length ?? 0
  let text = ''
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      if ((text.match(/^event: created$/gm) ?? []).length >= expected) break
    }
  } finally {
    hangUp.abort()
  }
  return [...text.matchAll(/^event: created\ndata: (.*)$/gm)]
    .map(([, data = '{}']) => nameOf((JSON.parse(data) as { object: Stored }).object))
    .toSorted()
}

const callerOf = (credential: string): Caller => {
  const found = stand.callers.find((caller) => caller.credential === credential)
  if (found === undefined) throw new TypeError('nobody has this credential')
  return found
}

test(
  'can-i says beforehand what comes of it, for oneself, of a subject, and acting as one',
  () =>
    everyCaller(async (caller) => {
      const { label, token } = caller.subject
      const found: string[] = []
      const subject = token === undefined ? `User:${label}` : `Token:${token.project}/${label}`
      const { credential: host } = await hostOf()
      for (const [plural, stored] of everyObject())
        for (const verb of VERBS) {
          const asked = questionOf(verb, plural, stored)
          const query = `verb=${verb}&kind=${plural}${asked.project === undefined ? '' : `&project=${asked.project}`}`
          const own = await caller.ask('GET', `/api/v1/auth/can-i?${query}&name=${stored.metadata.uid}`)
          if (own.json['allowed'] !== may(caller.subject, asked))
            found.push(`${label}: can-i ${query} ${asked.name}: ${own.text}`)
          if (verb !== 'edit') continue
          const named = `/api/v1/auth/can-i?${query}&name=${asked.name}`
          const of = await asHost('GET', `${named}&subject=${encodeURIComponent(subject)}`, host)
          const acting = await asHost('GET', named, host, { 'x-castellan-as': subject })
          if (of !== own.json['allowed'] || acting !== of)
            found.push(`${label}: ${query} ${asked.name}: of ${String(of)} acting ${String(acting)}`)
        }
      return found
    }),
  120_000,
)

async function hostOf(): Promise<{ credential: string }> {
  const { readFile } = await import('node:fs/promises')
  return { credential: (await readFile(`${stand.gate.daemon.home}/admin-credential`, 'utf8')).trim() }
}

async function asHost(
  method: string,
  path: string,
  credential: string,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const response = await fetch(new URL(path, stand.gate.daemon.origin), {
    method,
    headers: { authorization: `Bearer ${credential}`, ...headers },
  })
  return ((await response.json()) as { allowed?: unknown }).allowed
}

test('the command line says the same', () =>
  everyCaller(async (caller) => {
    const { origin } = stand.gate.daemon
    const env = { CASTELLAN_URL: origin, CASTELLAN_TOKEN: caller.credential }
    const wanted = listed(caller, 'servers')
    const got = await runInMemory(['get', 'servers', '-o', 'name'], { env })
    const names =
      got.code === 0
        ? got.out
            .split('\n')
            .filter(Boolean)
            .map((line) => line.replace(/^server\//, ''))
        : undefined
    const edit = await runInMemory(['auth', 'can-i', 'edit', 'servers', 'beta'], { env })
    const one = await runInMemory(['get', 'server', 'alpha', '-o', 'name'], { env })
    const label = caller.subject.label
    const asked = (verb: string, name: string): Question => ({ verb, kind: 'servers', name })
    return [
      ...(JSON.stringify(names) === JSON.stringify(wanted)
        ? []
        : [`${label}: get servers: ${got.out}${got.err}`]),
      ...(edit.out.startsWith('yes') === may(caller.subject, asked('edit', 'beta'))
        ? []
        : [`${label}: can-i: ${edit.out}${edit.err}`]),
      ...((one.code === 0) === may(caller.subject, asked('view', 'alpha'))
        ? []
        : [`${label}: get server alpha: ${one.out}${one.err}`]),
    ]
  }))

/**
 * Every address of the daemon besides those of the kinds, with who is answered there: everybody, whoever is known, or
 * whoever has a right. One that is added has to be put here.
 */
// oxfmt-ignore
const ROUTES: Readonly<Record<string, 'everybody' | 'known' | 'right'>> = {
  'get /api/v1/kinds': 'known',
  'get /api/v1/explain/{word}': 'known',
  'get /api/v1/schema/{word}': 'known',
  'get /api/v1/openapi.json': 'known',
  'get /api/v1/faults/{code}': 'everybody',
  'get /api/v1/status': 'known',
  'get /api/v1/version': 'known',
  'get /api/v1/logs': 'right',
  'get /api/v1/servers/{name}/logs': 'right',
  'get /api/v1/instances/{name}/logs': 'right',
  'get /api/v1/secrets/{name}/values': 'right',
  'post /api/v1/shutdown': 'right',
  'get /api/v1/audit': 'right',
  'get /api/v1/audit/sessions': 'right',
  'get /api/v1/keys': 'right',
  'post /api/v1/keys/rotate': 'right',
  'get /api/v1/grants': 'right',
  // Whose is in the body: their own is everybody's to give.
  'post /api/v1/grants': 'known',
  'put /api/v1/grants/{name}': 'known',
  'get /api/v1/grants/providers': 'known',
  'get /api/v1/grants/attempts/{name}': 'known',
  'post /api/v1/grants/attempts/{name}/paste': 'known',
  'get /api/v1/grants/{name}': 'right',
  'get /api/v1/grants/{name}/values': 'right',
  'post /api/v1/grants/{name}/test': 'right',
  'post /api/v1/grants/{name}/refresh': 'right',
  'post /api/v1/grants/{name}/bind': 'right',
  'delete /api/v1/grants/{name}': 'right',
  'get /api/v1/auth/me': 'known',
  'get /api/v1/auth/can-i': 'known',
  'get /api/v1/auth/who-can': 'right',
  'get /api/v1/auth/rights': 'known',
  'get /api/v1/auth/providers': 'everybody',
  'post /api/v1/auth/login': 'everybody',
  'post /api/v1/auth/logout': 'known',
  'post /api/v1/auth/oidc/start': 'everybody',
  'post /api/v1/auth/oidc/finish': 'everybody',
  'post /api/v1/users/{name}/password': 'right',
  'get /api/v1/tokens/introspect': 'everybody',
  'get /api/v1/projects/{name}/edge': 'right',
  'post /api/v1/projects/{name}/servers/{server}': 'right',
  'delete /api/v1/projects/{name}/servers/{server}': 'right',
  // What is in it needs rights of its own.
  'post /api/v1/apply': 'known',
}
const OF_KINDS = new RegExp(
  `^\\w+ /api/v1/(?:names/)?(?:${KINDS.map(({ plural }) => plural).join('|')})(?:/{name})?$`,
)
const IN_PATHS: Readonly<Record<string, string>> = {
  name: 'alpha',
  server: 'beta',
  word: 'server',
  code: 'invalid',
}

test('every address is for whom it is said to be', async () => {
  const { paths } = (await stand.gate.daemon.call('GET', '/api/v1/openapi.json')) as {
    paths: Record<string, object>
  }
  const routes = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => `${verb} ${path}`),
  )
  const others = routes.filter((route) => !OF_KINDS.test(route))
  expect(others.toSorted()).toEqual(Object.keys(ROUTES).toSorted())
  const nobody = stand.callers.filter(({ subject }) => ['none', 'empty'].includes(subject.label))
  const unknown = asker(stand.gate.daemon.origin, `cst_${'x'.repeat(43)}`)
  const found: string[] = []
  for (const route of routes) {
    const [verb = '', path = ''] = route.split(' ')
    const address = path.replaceAll(/\{(\w+)\}/g, (_, word: string) => IN_PATHS[word] ?? word)
    const given = verb === 'get' || verb === 'delete' ? {} : { body: { password: 'correct horse battery' } }
    const by = async (ask: typeof unknown) => (await ask(verb.toUpperCase(), address, given)).status
    const whom = ROUTES[route] ?? 'right'
    if (((await by(unknown)) === 401) === (whom === 'everybody') && path !== '/api/v1/auth/login')
      found.push(`${route}: not for ${whom}`)
    if (whom !== 'right') continue
    for (const { subject, ask } of nobody) {
      const status = await by(ask)
      if (status !== 403 && (subject.token !== undefined || status !== 404))
        found.push(`${route}: ${subject.label} ${status}`)
    }
  }
  agree(found)
})
