import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  castellan,
  createCleanUp,
  daemonOf,
  freshFolder,
  manifests,
  nodePath,
  ok,
  processesWith,
  project,
  removeFolder,
  send,
  stdioServer,
  until,
  type RunOptions,
} from './system-harness.ts'

/*
 * The package as it would be published: made, installed into an empty folder, and used from there.
 */

const repository = fileURLToPath(new URL('../..', import.meta.url))
const cleanUp = createCleanUp()
afterAll(() => cleanUp.run())

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}

let installed = ''
let options: RunOptions = {}

beforeAll(() => {
  const folder = freshFolder()
  cleanUp.later(() => removeFolder(folder))
  const packed = spawnSync(nodePath, [join(repository, 'scripts/package.js'), folder], { encoding: 'utf8' })
  expect(packed.stderr).toBe('')
  expect(packed.status).toBe(0)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  // What `npm install` would do, without the network: the package itself, and beside it what a user gets with it.
  installed = join(folder, 'node_modules/castellan')
  mkdirSync(installed, { recursive: true })
  const unpacked = spawnSync('tar', ['-xzf', join(folder, tarball), '-C', installed, '--strip-components=1'])
  expect(unpacked.status).toBe(0)
  linkProduction(join(folder, 'node_modules'))
  const home = join(folder, 'home')
  options = {
    home,
    bin: join(installed, 'bin/castellan.js'),
    env: { HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') },
  }
  cleanUp.later(() => castellan(['down', '--force'], options))
})

/** Packages that are not for development only, as the lock file says. */
function linkProduction(into: string): void {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>
  }
  for (const [path, about] of Object.entries(packages)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1]
    if (name === undefined || about.dev === true || about.devOptional === true || about.optional === true)
      continue
    mkdirSync(dirname(join(into, name)), { recursive: true })
    symlinkSync(join(repository, path), join(into, name))
  }
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))

describe('what is in it', () => {
  test('compiled sources and nothing else: no test, no fixture, no TypeScript, no source map', () => {
    const files = filesBelow(installed)
    const other = files.filter((file) => !/^dist\/[a-z/0-9-]+\.js$/.test(file)).sort()
    const documents = ['CHANGELOG.md', 'LICENSE', 'README.md'].filter((name) => files.includes(name))
    expect(other).toEqual([...documents, 'bin/castellan.js', 'dist/build.json', 'package.json'].sort())
    expect(documents).toEqual(expect.arrayContaining(['LICENSE', 'README.md']))
    expect(files.filter((file) => /\.test\.|(?:^|\/)test\/|fixture|bench|\.map$/.test(file))).toEqual([])
  })

  test('every source has its compiled file, and nothing is left of an older build', () => {
    const sources = filesBelow(join(repository, 'src'))
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => `dist/${file.replace(/\.ts$/, '.js')}`)
    expect(
      filesBelow(installed)
        .filter((file) => /^dist\/.*\.js$/.test(file))
        .sort(),
    ).toEqual(sources.sort())
  })

  test('a manifest without what only a checkout needs: its tools, its scripts, its Node', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest
    const own = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Manifest
    for (const field of ['private', 'devDependencies', 'optionalDependencies', 'scripts', 'allowScripts'])
      expect(manifest).not.toHaveProperty(field)
    expect(manifest).toMatchObject({
      name: 'castellan',
      version: own.version,
      dependencies: own.dependencies,
      engines: { node: '>=24' },
      bin: { castellan: 'bin/castellan.js' },
    })
  })

  test('no path of the machine that built it', () => {
    for (const file of filesBelow(installed)) {
      const text = readFileSync(join(installed, file), 'utf8')
      expect([file, text.includes(repository.slice(0, -1))]).toEqual([file, false])
    }
  })
})

describe('installed', () => {
  test('`version` says the commit and when it was built', async () => {
    const text = await ok(['version'], options)
    const { commit, buildDate } = JSON.parse(readFileSync(join(installed, 'dist/build.json'), 'utf8')) as {
      commit: string
      buildDate: string
    }
    expect(commit).toMatch(/^[0-9a-f]{12}$/)
    expect(text).toContain(commit)
    expect(text).toContain(buildDate)
    expect(Date.parse(buildDate)).toBeGreaterThan(Date.parse('2026-01-01'))
  })

  test('a daemon, a stdio server in its sandbox, the record, and an end without a trace', async () => {
    await ok(['up', '-d', '--port', '0'], options)
    const input = manifests(stdioServer('leaky', 'stdio-leaky.js'), project('demo', ['leaky']))
    expect(await ok(['apply', '-f', '-'], { ...options, input })).toContain('server/leaky created')
    expect(await ok(['get', 'servers'], options)).toMatch(/^leaky +stdio/m)
    expect(await ok(['explain', 'server.spec.env'], options)).toContain('valueFrom')
    const token = (await ok(['create', 'token', 't', '-p', 'demo'], options)).trim()
    const { url } = daemonOf(options.home ?? '')
    const tried = await castellan(['test', 'mcp', `${url}/projects/demo/mcp`, '--tool', 'leaky__env'], {
      ...options,
      env: { ...options.env, CASTELLAN_TOKEN: token },
    })
    expect(tried.stderr).toBe('')
    expect(tried.status).toBe(0)
    const admin = readFileSync(join(options.home ?? '', 'admin-credential'), 'utf8').trim()
    const metrics = await send(`${url}/metrics`, { headers: { authorization: `Bearer ${admin}` } })
    expect(metrics.text).toContain('castellan_audit_committed_entries')
    expect(await ok(['audit'], options)).toContain('leaky__env')
    expect(await ok(['logs', 'server', 'leaky'], options)).toContain('settings:')
    expect(await ok(['completion', 'bash'], options)).toContain('castellan')
    expect(await ok(['down'], options)).toContain('stopped')
    await until('no process of it is left', () => processesWith(options.home ?? '').length === 0)
    expect(await ok(['audit', 'verify'], options)).toContain('nothing was changed')
  })
})
