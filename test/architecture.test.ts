import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { validateManifest } from '../src/control/admission/validate.ts'
import { checkRoutes, controlRoutes, type ControlApiDeps } from '../src/control/api/control-api.ts'
import type { ApiRecord } from '../src/control/api/record.ts'
import { manifestSchema, statusSchema } from '../src/control/kind-schema.ts'
import { renderDescription } from '../src/control/render/describe.ts'
import { renderExplanation } from '../src/control/render/explain.ts'
import { renderOpenApi } from '../src/control/render/openapi.ts'
import { renderNames, renderTable } from '../src/control/render/table.ts'
import { renderYaml } from '../src/control/render/yaml.ts'
import type { KindDefinition, Resource } from '../src/kinds/define-kind.ts'
import { findKind, KINDS } from '../src/kinds/registry.ts'
import { FOLDERS, mayImport, NO_NAMES, PLACES, type Folder } from './architecture/arrows.ts'
import { codeLines, exists, listFiles, readSources, readText, resolveImport } from './architecture/source.ts'
import type { SourceFile } from './architecture/source.ts'

/** What no type and no lint rule holds. Each rule is derived from the source as it stands, so that it cannot drift. */

const src = readSources('src')
const bySrcPath = new Map(src.map((file) => [file.path, file]))
const everything = ['bin', 'src', 'test', 'bench', 'scripts'].flatMap(readSources)

const isTest = ({ path }: SourceFile): boolean => path.endsWith('.test.ts')
const shipped = src.filter((file) => !isTest(file))
const folderOf = (path: string): string => path.split('/')[1] ?? ''
const isFolder = (name: string): name is Folder => FOLDERS.some((folder) => folder === name)

/** `file:line` of each place in the code that matches; comments do not count. */
const placesOf = (files: readonly SourceFile[], pattern: RegExp): readonly string[] =>
  files.flatMap(({ path, code }) =>
    code.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
  )

const filesOf = (places: readonly string[]): readonly string[] => [
  ...new Set(places.map((place) => place.replace(/:\d+$/, ''))),
]

describe('imports', () => {
  test('every folder of src is one that the design names', () => {
    expect([...new Set(src.map(({ path }) => folderOf(path)))].filter((name) => !isFolder(name))).toEqual([])
  })

  test('go one way, types and new URL(…) too', () => {
    const wrong = src.flatMap(({ path, imports }) =>
      imports.flatMap(({ specifier = '' }) => {
        const target = resolveImport(path, specifier)
        const [from, to] = [folderOf(path), folderOf(target ?? '')]
        if (target?.startsWith('src/') !== true || !isFolder(from)) return []
        return isFolder(to) && mayImport(from, to) ? [] : [`${path} imports ${target}`]
      }),
    )
    expect(wrong).toEqual([])
  })

  test('of src stay in src; only tests reach what tests share', () => {
    const out = src.flatMap((file) =>
      file.imports
        .filter(({ how }) => how !== 'url')
        .map(({ specifier = '' }) => resolveImport(file.path, specifier) ?? 'src/')
        .filter((target) => !target.startsWith('src/') && !(isTest(file) && target.startsWith('test/')))
        .map((target) => `${file.path} imports ${target}`),
    )
    expect(out).toEqual([])
  })

  test('name a file that exists, and are written out', () => {
    const broken = everything.flatMap(({ path, imports }) =>
      imports
        .filter(({ how }) => how !== 'url')
        .flatMap(({ specifier }) => {
          const target = specifier === undefined ? 'computed' : resolveImport(path, specifier)
          return target === undefined || everything.some((file) => file.path === target)
            ? []
            : [`${path}: ${specifier ?? 'a computed import'}`]
        }),
    )
    // The launcher starts either the sources or what was built of them; the lock is tried from another process.
    const known = new Set([
      'bin/castellan.js: a computed import',
      'test/e2e/cli-lock.test.ts: a computed import',
      // Stands in the text of a program that the test writes.
      'test/e2e/runtime-command.test.ts: ./word.js',
    ])
    expect(broken.filter((place) => !known.has(place))).toEqual([])
  })

  test('have no cycles, types included', () => {
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
      if (done.has(path)) return
      done.add(path)
      for (const { specifier = '', how } of bySrcPath.get(path)?.imports ?? []) {
        const target = how === 'url' ? undefined : resolveImport(path, specifier)
        if (target !== undefined) visit(target, [...trail, path])
      }
    }
    for (const { path } of src) visit(path, [])
    expect(cycles).toEqual([])
  })

  test('of packages and of the parts of Node that matter stand in their places only', () => {
    const wrong: string[] = []
    const used = new Set<string>()
    for (const { path, imports } of shipped) {
      for (const { specifier = '.' } of imports) {
        const name = specifier.startsWith('@') ? specifier : specifier.replace(/^(?!node:)([^/]+)\/.*/, '$1')
        const places = PLACES[name]
        const isOwn = name.startsWith('.') || (name.startsWith('node:') && places === undefined)
        const place = places?.find((prefix) => path.startsWith(prefix))
        if (place !== undefined) used.add(`${name} in ${place}`)
        else if (!isOwn) wrong.push(`${path} imports ${name}`)
      }
    }
    expect(wrong).toEqual([])
    const listed = Object.entries(PLACES).flatMap(([name, places]) =>
      places.map((place) => `${name} in ${place}`),
    )
    expect(listed.filter((place) => !used.has(place))).toEqual([])
  })

  test('of the way to a command hold nothing that is slow to load, those of the daemon nothing it may never need', () => {
    // Measured: zod alone adds 40 ms to a command that takes 60.
    const light = new Set(['commander'])
    expect(packagesLoadedBy('src/main/cli.ts').filter((name) => !light.has(name))).toEqual([])
    const onFirstUse = new Set(['pg', 'prom-client', 'oauth4webapi', 'yaml', '@clack/prompts', 'commander'])
    expect(packagesLoadedBy('src/main/serve.ts').filter((name) => onFirstUse.has(name))).toEqual([])
  })

  test('lint forbids what the design forbids, below each folder and at each depth', () => {
    const lint = JSON.parse(readText('.oxlintrc.json')) as LintConfig
    const holes = FOLDERS.flatMap((from) =>
      [1, 2, 3].flatMap((depth) => {
        const up = '../'.repeat(depth)
        const banned = FOLDERS.filter((to) => !mayImport(from, to)).map((to) => `${up}${to}/x.ts`)
        return [...banned, './index.ts', `${up}lib/index.ts`, `${up}utils/x.ts`]
          .filter((specifier) => !isForbidden(lint, from, specifier))
          .map((specifier) => `src/${from} may import ${specifier}`)
      }),
    )
    expect(holes).toEqual([])
  })
})

interface LintConfig {
  readonly rules: LintRules
  readonly overrides: readonly { readonly files: readonly string[]; readonly rules: LintRules }[]
}
type LintRules = Readonly<{
  'no-restricted-imports'?: readonly [string, { patterns: readonly { regex: string }[] }]
}>

/** An override replaces the options of a rule, and the last one that fits wins. */
function isForbidden(lint: LintConfig, folder: Folder, specifier: string): boolean {
  const fitting = lint.overrides
    .filter(({ files }) => files.includes(`src/${folder}/**`))
    .map(({ rules }) => rules)
  const rule = [lint.rules, ...fitting].map((rules) => rules['no-restricted-imports']).findLast(Boolean)
  return rule?.[1].patterns.some(({ regex }) => new RegExp(regex, 'u').test(specifier)) ?? false
}

/** Packages that run when a file is imported: through `import` statements only, not through `import()` or types. */
function packagesLoadedBy(entry: string): readonly string[] {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { specifier = '', how } of bySrcPath.get(path)?.imports ?? []) {
      if (how !== 'static') continue
      const target = resolveImport(path, specifier)
      if (target !== undefined) visit(target)
      else if (!specifier.startsWith('node:')) packages.add(specifier)
    }
  }
  visit(entry)
  return [...packages].sort()
}

describe('files', () => {
  test('are small: at most 400 lines of code, tests 600; half at most 100 lines, nine of ten at most 250', () => {
    const limitOf = ({ path }: SourceFile): number => (/^(?:test|bench)\/|\.test\.ts$/.test(path) ? 600 : 400)
    expect(everything.filter((file) => codeLines(file) > limitOf(file)).map(({ path }) => path)).toEqual([])
    const lengths = shipped.map(({ text }) => text.split('\n').length).sort((a, b) => a - b)
    const at = (share: number): number => lengths[Math.floor(lengths.length * share)] ?? 0
    expect({ median: at(0.5) <= 100, p90: at(0.9) <= 250 }).toEqual({ median: true, p90: true })
  })

  test('have names that say what is in them, in kebab-case; none only passes on what others export', () => {
    const paths = everything.map(({ path }) => path)
    expect(paths.filter((path) => NO_NAMES.test(path))).toEqual([])
    const kebab = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config|\.d)?\.[jt]s)$/
    expect(paths.filter((path) => !kebab.test(path.split('/').at(-1) ?? ''))).toEqual([])
    expect(placesOf(shipped, /^export (?:type )?(?:\*|\{[^}]*\}) from/)).toEqual([])
  })

  test('hold no mark of unfinished work, and no test that does not run', () => {
    const marks =
      /\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b|@ts-(?:ignore|expect-error|nocheck)|(?:eslint|oxlint)-disable/
    const marked = everything.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) => (marks.test(line) ? [`${path}:${i + 1}`] : [])),
    )
    expect(marked.filter((place) => !place.startsWith('test/architecture.test.ts'))).toEqual([])
    expect(
      placesOf(everything, /\b(?:test|it|describe|suite)(?:\.\w+)*\.(?:skip|only|todo|fails)\b/),
    ).toEqual([])
  })

  test("name no path of somebody's machine", () => {
    const texts = [...everything, ...documents().map((path) => ({ path, text: readText(path) }))]
    // In examples people are called ada, me and you.
    const home = /(?:\/home|\/Users)\/(?!(?:ada|me|you|x)\b|[.$<{*'"`\\])\w|\/root\/\w|[A-Z]:\\{1,2}Users\\/
    const found = texts.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) => (home.test(line) ? [`${path}:${i + 1}`] : [])),
    )
    expect(found.filter((place) => !place.startsWith('test/architecture.test.ts'))).toEqual([])
  })
})

/** Files with the reason why they may: a new one is a decision, and one that stopped is taken off. */
type Allowed = Readonly<Record<string, string>>

describe('what only few may do', () => {
  test('take a secret out of its SecretValue', () => {
    // oxfmt-ignore
    const allowed: Allowed = {
      'src/secrets/sealing.ts':                'encrypts it',
      'src/secrets/redact.ts':                 'looks for it in the log of a server',
      'src/secrets/keys/choose-source.ts':     'reads the key that the environment gave',
      'src/secrets/keys/key-file.ts':          'writes the master key into its file',
      'src/secrets/keys/key-keychain.ts':      'hands the master key to the keychain of the system, and reads it there',
      'src/grants/attempts.ts':               'reads what an authorization will become',
      'src/grants/oauth-flow.ts':             'keeps what a code is exchanged with, sealed, until the browser is back',
      'src/main/grant-store.ts':              'compares whose a grant is, and where it may go, with what was sealed',
      'src/main/keys/key-service.ts':          'reads the master key that is to be the next',
      'src/access/sign-in/password-hash.ts':   'hashes it, or compares it with its hash',
      'src/control/api/auth-routes.ts':        'answers a sign-in with its credential, once',
      'src/main/sign-in/attempts.ts':          'reads who has come back from an identity provider',
      'src/main/exchange/issuance.ts':         'hands on what a provider issued, sealed, until the sign-in is finished',
      'src/oauth/client/sign-in-renewal.ts':   'sends it to the identity provider that it belongs to, to renew it',
      'src/control/change/plan.ts':            'compares what is applied with what is stored',
      'src/control/change/kept-answers.ts':    'answers a request that is repeated as it was answered first',
      'src/control/api/change-routes.ts':      'answers the creation of a Token, once',
      'src/control/api/grants/reveal-grant.ts': 'shows what a grant sends to the administrator of the host, on the record',
      'src/control/api/reveal-route.ts':       'shows the values of a Secret to who may see them, on the record',
      'src/gateway/inject/credentials.ts':     'puts it into a header for the Server that it belongs to',
      'src/edge/bearer.ts':                     'sends the credential of a caller to the control plane that issued it',
      'src/gateway/inject/grants.ts':          'puts the token of a grant into a header for the Server that it was issued for',
      'src/gateway/forward/dial/dial.ts':           'sends the id of a session to the server that has it',
      'src/runtime/sandbox/environment.ts':    'puts it into the environment of the server that it belongs to',
      'src/oauth/client/client-authentication.ts': 'proves to an authorization server who asks',
      'src/oauth/client/revocation.ts':        'sends it to the authorization server that it belongs to, to end it',
      'src/grants/providers/place.ts':          'puts it where its provider wants it, to test it there',
      'src/grants/providers/refresh-values.ts': 'sends it to the fixed address that renews it',
      'src/oauth/client/token-endpoint.ts':    'sends it to the authorization server that it belongs to',
      'src/cli/contexts/keep-credential.ts':  'writes it into the file of its owner, and sees what the keychain kept of it',
      'src/cli/contexts/keychain.ts':         'hands it to the keychain of the system',
      'src/cli/api.ts':                        'sends the credential of the user to the daemon',
      'src/cli/granting/give-grant.ts':       'sends the credential that the user gives to the daemon',
      'src/cli/mcp/exchange.ts':               'sends the token of the user to the endpoint under test',
      'src/cli/connect/daemon.ts':             'sends the credential of the user to the daemon',
    }
    expect([...filesOf(placesOf(shipped, /\.reveal\b/))].sort()).toEqual(Object.keys(allowed).sort())
  })

  test('read the environment', () => {
    // oxfmt-ignore
    const allowed: Allowed = {
      'src/main/cli.ts':                        'hands it to the command',
      'src/main/open-parts.ts':                 'hands it to the runtime, which chooses what servers get of it',
      'src/main/quickstart/everything-http.ts': 'hands a child what it needs to run, and no more',
      'src/main/quickstart/main.ts':            'is an entry like cli.ts',
    }
    expect(
      [...filesOf(placesOf(shipped, /\bprocess\s*(?:\.|\[')env\b|\{[^}]*\benv\b[^}]*\} = process\b/))].sort(),
    ).toEqual(Object.keys(allowed).sort())
  })

  test('read the clock; the others are given one', () => {
    // oxfmt-ignore
    const allowed: Allowed = {
      'src/lib/clock.ts':              'is the clock',
      'src/audit/commit-worker.ts':    'a thread of its own: a clock cannot be sent to it',
      'src/control/pause.ts':          'measures how long it has held the loop, not the time of anything',
      'src/cli/commands/audit-filter.ts':     'turns --since 2h into a time',
      'src/main/run-daemon.ts':               'writes when the daemon started',
      'src/main/command-audit-set-aside.ts':  'names a folder after the time',
      'src/main/quickstart/screen.ts':        'shows how long each step took',
      'src/main/stop-signals.ts':      'tells one press of Ctrl-C from two',
    }
    const reads = placesOf(shipped, /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)/)
    expect([...filesOf(reads)].sort()).toEqual(Object.keys(allowed).sort())
  })

  test('end the process', () => {
    // oxfmt-ignore
    const allowed: Allowed = {
      'src/main/cli.ts':          'the reader of its output has gone',
      'src/main/stop-signals.ts': 'the second Ctrl-C',
    }
    expect([...filesOf(placesOf(shipped, /\bprocess\.(?:exit|abort|reallyExit)\b/))].sort()).toEqual(
      Object.keys(allowed).sort(),
    )
  })

  test('nobody: fetch() without a dispatcher, weak randomness, code from text', () => {
    expect(
      placesOf(shipped, /(?<![.\w])fetch\(|globalThis\.fetch|\bMath\.random\b|\beval\(|new Function\(/),
    ).toEqual(placesOf(shipped, /^ {2}fetch\(request: Request, caller: Caller\)/))
  })
})

const manifestOf = ({ kind, scope, example }: KindDefinition) => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name: 'example', ...(scope === 'project' ? { project: 'demo' } : {}) },
  spec: example,
})

/** A resource as it is stored and shown, made of the kind's own example. */
function resourceOf(definition: KindDefinition): Resource {
  const admitted = validateManifest(manifestOf(definition))
  if (!admitted.ok) throw new Error(`${definition.kind}: ${admitted.error.join('; ')}`)
  const { name, project, labels, annotations, spec } = admitted.value
  const at = '2026-01-02T03:04:05.000Z'
  const ours = { uid: `${definition.uidPrefix}_x`, generation: 1, createdAt: at, updatedAt: at }
  return {
    apiVersion: 'castellan/v1',
    kind: definition.kind,
    metadata: { name, ...(project === '' ? {} : { project }), labels, annotations, ...ours },
    spec: definition.secrets?.withhold(spec) ?? spec,
    status: {},
  }
}

describe.each(KINDS.map((definition) => [definition.kind, definition] as const))(
  '%s passes through',
  (kind, definition) => {
    test('the registry: each of its words means it, and none is a word of another', () => {
      const words = [kind, kind.toLowerCase(), definition.plural, ...definition.short]
      expect(words.map((word) => findKind(word)?.kind)).toEqual(words.map(() => kind))
      expect(KINDS.filter(({ uidPrefix }) => uidPrefix === definition.uidPrefix)).toHaveLength(1)
      const file = kind.replace(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase()
      expect(bySrcPath.has(`src/kinds/${file}.ts`)).toBe(true)
    })

    test('admission: its example is a valid manifest, and refers to kinds that exist and come before it', () => {
      const { spec } = resourceOf(definition)
      const before = KINDS.slice(0, KINDS.indexOf(definition)).map((earlier) => earlier.kind)
      for (const reference of definition.references?.(spec) ?? []) expect(before).toContain(reference.kind)
      expect(validateManifest({ ...manifestOf(definition), unheardOf: 1 }).ok).toBe(false)
    })

    test('YAML and back, JSON Schema, explain', async () => {
      const text = await renderYaml([resourceOf(definition), resourceOf(definition)])
      expect(parseAllDocuments(text)).toHaveLength(2)
      expect(validateManifest(parse(await renderYaml([resourceOf(definition)])))).toMatchObject({ ok: true })
      expect(manifestSchema(definition).properties?.['kind']).toEqual({ const: kind })
      const explained = await renderExplanation(definition, '')
      expect(explained).toContain(definition.summary)
      for (const field of Object.keys(definition.example as object))
        expect(explained).toContain(`  ${field} <`)
    })

    test('table, names, describe', () => {
      const resource = resourceOf(definition)
      const [head, row] = renderTable(definition, [resource], { wide: true }).split('\n')
      for (const { header } of definition.columns) expect(head?.split(/ {2,}/)).toContain(header)
      expect(row).toMatch(/^example\b|\bexample\b/)
      expect(renderNames(definition, [resource])).toBe(`${kind.toLowerCase()}/example\n`)
      expect(renderDescription(resource, { usedBy: [] })).toMatch(new RegExp(`^Kind: +${kind}$`, 'm'))
    })

    test('every verb of the API, OpenAPI, and the pages', () => {
      const routes = controlRoutes({ version: { version: '0.0.0' } } as ControlApiDeps, {} as ApiRecord)
      checkRoutes(routes)
      const { paths } = renderOpenApi(routes, '0.0.0') as { paths: Readonly<Record<string, object>> }
      const verbs = ['', '/{name}'].map((rest) =>
        Object.keys(paths[`/api/v1/${definition.plural}${rest}`] ?? {}).sort(),
      )
      expect(verbs).toEqual([
        ['get', 'post'],
        ['delete', 'get', 'patch', 'put'],
      ])
      expect(Object.keys(statusSchema(definition))).toContain('type')
      expect(readText('docs/manifests.md')).toContain(`kind: ${kind}`)
      for (const golden of [`schema-${kind}.golden.json`, `explain-${kind}.golden.txt`])
        expect(exists(`test/golden/${golden.toLowerCase()}`)).toBe(true)
    })
  },
)

describe('entry files of threads and processes', () => {
  test('are named literally, in lib/entry.ts alone, and exist', () => {
    const given = shipped.flatMap(({ path, code }) =>
      Array.from(code.matchAll(/\bentryUrl\(\s*(?:'([^']+)')?/g), ([, name]) => ({ path, name })),
    )
    const missing = given.filter(({ name }) => name === undefined || !bySrcPath.has(`src/${name}.ts`))
    expect(given.length).toBeGreaterThan(0)
    expect(missing).toEqual([])
    const threads = placesOf(shipped, /\bnew Worker\(/)
    expect(threads).toEqual(placesOf(shipped, /\bnew Worker\(\s*entryUrl\(/))
  })

  test('new URL(…) of a file of ours means one that is also there in the package', () => {
    const meant = shipped.flatMap(({ path, imports }) =>
      imports
        .filter(({ how }) => how === 'url')
        .map(({ specifier }) => `${path}: ${specifier ?? 'computed'}`),
    )
    const inPackage = new Set([
      'src/lib/entry.ts: computed',
      'src/main/detach.ts: ../../bin/castellan.js',
      'src/main/version.ts: ../..',
      // Runs in a checkout only.
      'src/main/quickstart.ts: ../..',
    ])
    expect(meant.filter((place) => !inPackage.has(place))).toEqual([])
  })
})

describe('dependencies', () => {
  interface Package {
    readonly dependencies: Readonly<Record<string, string>>
    readonly devDependencies: Readonly<Record<string, string>>
    readonly optionalDependencies: Readonly<Record<string, string>>
  }
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readText('package.json'),
  ) as Package

  test('are pinned, and the lock file names no registry', () => {
    const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))).toEqual([])
    const lock = JSON.parse(readText('package-lock.json')) as {
      packages: Record<string, { resolved?: string }>
    }
    const fromHost = Object.entries(lock.packages).filter(([, { resolved = '' }]) => resolved.includes('://'))
    // `npm install --omit-lockfile-registry-resolved` writes it without.
    expect(fromHost.map(([name]) => name)).toEqual([])
  })

  test('of one Node only: each platform the same version', () => {
    expect(new Set(Object.values(optionalDependencies)).size).toBe(1)
  })

  test('have a page that says why', () => {
    const pages = decisions()
      .map((path) => readText(path))
      .join('\n')
    const silent = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !name.startsWith('@types/') && !pages.includes(`\`${name}\``),
    )
    expect(silent).toEqual([])
  })
})

const documents = (): readonly string[] =>
  ['', 'docs', 'examples', 'bench']
    .filter(exists)
    .flatMap(listFiles)
    .filter((path) => path.endsWith('.md'))
const decisions = (): readonly string[] =>
  listFiles('docs/decisions').filter((path) => /\/\d{4}-[a-z0-9-]+\.md$/.test(path))

/** The id that a heading gets where Markdown is shown. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[`*_]|\[|\]\([^)]*\)/g, '')
    .trim()
    .replaceAll(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (path: string): readonly string[] =>
  Array.from(withoutCode(readText(path)).matchAll(/^#+ (.+)$/gm), ([, heading = '']) => anchorOf(heading))

const withoutCode = (markdown: string): string => markdown.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')

test('every golden file is held by a test', () => {
  const [goldens, tests] = ['.golden.', '.test.ts'].map((part) =>
    listFiles('test/golden').filter((path) => path.includes(part)),
  )
  const held = (tests ?? []).map((path) => readText(path)).join('\n')
  const kind = new RegExp(
    `(?<=-)(?:${KINDS.map((definition) => definition.kind.toLowerCase()).join('|')})\\.`,
  )
  const names = (goldens ?? []).map((path) => path.slice('test/golden/'.length))
  // `schema-${kind}.golden.json` stands in the test as it is written here: up to the kind.
  expect(names.filter((name) => !held.includes(name.slice(0, kind.exec(name)?.index)))).toEqual([])
})

describe('documents', () => {
  test('link to what is there', () => {
    const broken = documents().flatMap((path) => {
      const links = withoutCode(readText(path)).matchAll(
        /\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g,
      )
      return Array.from(links).flatMap(([, target = '', anchor]) => {
        const meant = target === '' ? path : (resolveImport(path, `./${target}`) ?? '')
        const isThere = exists(meant) && (anchor === undefined || anchorsOf(meant).includes(anchor))
        return isThere ? [] : [`${path}: ${target}#${anchor ?? ''}`]
      })
    })
    expect(broken).toEqual([])
  })

  test('are all listed in docs/README.md, decisions in theirs, numbered without a gap', () => {
    const index = readText('docs/README.md')
    const guides = listFiles('docs').filter((path) => /^docs\/[a-z-]+\.md$/.test(path))
    expect(guides.filter((path) => !index.includes(`(${path.slice('docs/'.length)})`))).toEqual([])
    const register = readText('docs/decisions/README.md')
    const pages = decisions().map((path) => path.slice('docs/decisions/'.length))
    expect(pages.filter((page) => !register.includes(`(${page})`))).toEqual([])
    expect(pages.map((page) => Number(page.slice(0, 4)))).toEqual(pages.map((_, i) => i + 1))
  })

  test('CONTRIBUTING.md fits on a few screens', () => {
    expect(Buffer.byteLength(readText('CONTRIBUTING.md'))).toBeLessThanOrEqual(10 * 1024)
  })
})
