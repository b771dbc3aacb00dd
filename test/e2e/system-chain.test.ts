import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { KINDS } from '../../src/kinds/registry.ts'
import { castellan, cleanEnv, createCleanUp, freshFolder, ok, removeFolder } from './system-harness.ts'

/*
 * What a person types, from nothing to a call that went through, and reading back whatever was made.
 */

const repository = fileURLToPath(new URL('../..', import.meta.url))
const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

function freshHome(): string {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  cleanUp.later(() => castellan(['down', '--force'], { home }))
  return home
}

function shell(home: string, lines: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('bash', ['-c', lines], {
    cwd: repository,
    encoding: 'utf8',
    // The Node of the checkout first, as in an npm script; the server of the example lies beside it.
    env: {
      ...cleanEnv(),
      CASTELLAN_HOME: home,
      PATH: `${join(repository, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
    },
  })
}

const DEMO = `apiVersion: castellan/v1
kind: Server
metadata: { name: everything }
spec: { transport: stdio, command: mcp-server-everything, args: [stdio] }
---
apiVersion: castellan/v1
kind: Project
metadata: { name: demo }
spec: { servers: [everything] }
`

test('from an empty home to a tool call in one chain; 1 with a wrong token, 2 for a tool that is not there', () => {
  const home = freshHome()
  const file = join(home, 'demo.yaml')
  writeFileSync(file, DEMO)
  const said = shell(
    home,
    `castellan() { bin/castellan.js "$@"; }
    check() { castellan test mcp "$url/projects/demo/mcp" --tool "$1" --args '{"message":"hi"}'; echo "status $?"; }
    castellan up -d --port 0 >&2 &&
    url=$(node -p 'JSON.parse(fs.readFileSync("${home}/daemon.json")).url') &&
    castellan apply -f ${file} &&
    token=$(castellan create token t -p demo -o json | node -p 'JSON.parse(fs.readFileSync(0)).secret') &&
    CASTELLAN_TOKEN=$token check everything__echo
    CASTELLAN_TOKEN=\${token}x check everything__echo
    CASTELLAN_TOKEN=$token check everything__nothing
    castellan down`,
  )
  expect(said.stderr).toContain('castellan listens on http://127.0.0.1:')
  expect(said.stdout).toContain('server/everything created\nproject/demo created\n')
  expect(said.stdout).toContain('Echo: hi')
  expect(said.stdout.match(/^status .*$/gm)).toEqual(['status 0', 'status 1', 'status 2'])
  expect(said.stdout).toMatch(/the daemon has stopped\n$/)
})

const EVERY_KIND = `apiVersion: castellan/v1
kind: Secret
metadata: { name: keys, labels: { team: blue }, annotations: { note: "two\\nlines" } }
spec: { data: { api: "one", pem: "-----BEGIN-----\\nabc\\n-----END-----\\n" } }
---
apiVersion: castellan/v1
kind: Server
metadata: { name: local }
spec:
  transport: stdio
  command: mcp-server-everything
  args: [stdio, "yes", "0123", "", "- a: b"]
  cwd: /tmp
  env:
    - { name: LEVEL, value: "1e3" }
    - { name: API_KEY, valueFrom: { secretRef: { name: keys, key: api } } }
  mounts: [{ path: /srv, access: write }]
  instances: per-session
  limits: { memoryMiB: 256, messageMiB: 2.5 }
  timeouts: { connectSeconds: 5, callSeconds: 60.5 }
  tools: { allow: ["*"], deny: ["delete_*"] }
---
apiVersion: castellan/v1
kind: Server
metadata: { name: remote }
spec:
  transport: http
  url: https://mcp.example.com/mcp?version=1
  description: "#not a comment: 'quoted'"
  headers:
    - { name: Authorization, valueFrom: { secretRef: { name: keys, key: api }, prefix: "Bearer " } }
    - { name: X-Plain, value: "~" }
---
apiVersion: castellan/v1
kind: Project
metadata: { name: demo }
spec:
  servers: [local, remote]
  instructions: "\\n  first line is empty\\n\\ttab\\n"
  tools: { deny: [local__x] }
  audit: { durability: before-forward }
---
apiVersion: castellan/v1
kind: Token
metadata: { name: laptop, project: demo }
spec: { ttl: 30d, description: of Ada }
---
apiVersion: castellan/v1
kind: Token
metadata: { name: ended, project: demo }
spec: { revoked: true }
---
apiVersion: castellan/v1
kind: User
metadata: { name: ada@example.com }
spec: { displayName: "Ada: Lovelace", email: ada@example.com, disabled: true, identity: { provider: acme, subject: "0123" } }
---
apiVersion: castellan/v1
kind: ServiceAccount
metadata: { name: nightly }
spec: { description: "~" }
---
apiVersion: castellan/v1
kind: Group
metadata: { name: platform }
spec:
  members: [{ kind: User, name: ada@example.com }, { kind: ServiceAccount, name: nightly }, { kind: User, name: later }]
  claims: ["yes", "- a"]
---
apiVersion: castellan/v1
kind: IdentityProvider
metadata: { name: acme }
spec:
  issuer: https://login.example.com/tenant/
  clientId: "0x1F"
  clientSecret: { secretRef: { name: keys, key: api } }
  users: existing
  domains: [example.com]
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: { name: platform-edits }
spec:
  subjects: [{ kind: Group, name: platform }, { kind: Token, name: laptop, project: demo }]
  bindings:
    - { role: edit, resource: servers, name: local }
    - { role: view, resource: "*", project: demo }
    - { role: run, action: logs }
---
apiVersion: castellan/v1
kind: Template
metadata: { name: files }
spec:
  parameters: [{ name: path, example: /srv/shared, description: "a: folder" }]
  server: { transport: stdio, command: npx, args: [-y, files, "{{path}}"] }
`

/** Those that are written by people; the others appear by themselves. */
const WRITTEN = KINDS.filter(({ systemMade }) => systemMade !== true)

test('`get KIND -o yaml | apply -f -` changes nothing, for every kind, also after a restart', async () => {
  const home = freshHome()
  await ok(['up', '-d', '--port', '0'], { home })
  await ok(['apply', '-f', '-'], { home, input: EVERY_KIND })
  const readBack = (): string[] =>
    WRITTEN.map(({ kind, plural }) => {
      const all = shell(home, `bin/castellan.js get ${plural} -o yaml`)
      expect(all.stdout.match(new RegExp(`^kind: ${kind}$`, 'gm'))?.length).toBeGreaterThan(0)
      const said = shell(
        home,
        `set -o pipefail; bin/castellan.js get ${kind} -o yaml | bin/castellan.js apply -f -`,
      )
      expect(said.stderr).toBe('')
      expect(said.status).toBe(0)
      expect(said.stdout).toMatch(new RegExp(`^(?:${kind.toLowerCase()}/\\S+ unchanged.*\\n)+$`))
      expect(shell(home, `bin/castellan.js get ${plural} -o yaml`).stdout).toBe(all.stdout)
      return all.stdout
    })
  const before = readBack()
  expect(before.join('')).not.toContain('BEGIN')
  await ok(['down'], { home })
  await ok(['up', '-d', '--port', '0'], { home })
  expect(readBack()).toEqual(before)
})

test('the same for one object, as JSON, and from a file that `get` has written', async () => {
  const home = freshHome()
  await ok(['up', '-d', '--port', '0'], { home })
  await ok(['apply', '-f', '-'], { home, input: EVERY_KIND })
  for (const [word, name] of [
    ['server', 'local'],
    ['srv', 'remote'],
    ['sec', 'keys'],
    ['project', 'demo'],
    ['token', 'laptop'],
  ] as const) {
    const scope = word === 'token' ? ['-p', 'demo'] : []
    const file = join(home, `${name}.json`)
    writeFileSync(file, await ok(['get', word, name, ...scope, '-o', 'json'], { home }))
    expect(await ok(['apply', '-f', file], { home })).toMatch(/^\S+ unchanged[^\n]*\n$/)
  }
})
