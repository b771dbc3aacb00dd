import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BIN, makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { runInMemory, type Ran } from './cli-in-memory.ts'

/* The command line against a real daemon: each line is what a person types. */

const TEMPLATES = new URL('../../examples/templates', import.meta.url).pathname
let daemon: Daemon
let credential: string
const scratch = mkdtempSync(join(tmpdir(), 'castellan-commands-'))

beforeAll(async () => {
  daemon = await startDaemon(await makeHome())
  credential = readFileSync(join(daemon.home, 'admin-credential'), 'utf8').trim()
})
afterAll(async () => {
  await daemon?.stop()
  await removeHome(daemon.home)
  rmSync(scratch, { recursive: true, force: true })
})

const run = (line: string | readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
  runInMemory(typeof line === 'string' ? line.split(' ') : line, {
    env: {
      CASTELLAN_URL: daemon.origin,
      CASTELLAN_TOKEN: credential,
      PATH: process.env['PATH'] ?? '',
      ...env,
    },
    cwd: scratch,
  })
const done = async (line: string | readonly string[]): Promise<string> => {
  const ran = await run(line)
  expect(ran, String(line)).toMatchObject({ code: 0 })
  return ran.out
}

/** An editor that changes its file with a line of sh, in which `$1` is the file. */
function editor(script: string): { readonly VISUAL: string } {
  const path = join(scratch, `editor-${Math.trunc(performance.now() * 1000)}.sh`)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return { VISUAL: path }
}

test('every kind that people make is made by a command, and read back as an apply that changes nothing', async () => {
  await done(['apply', '-f', TEMPLATES])
  await done([
    'create',
    'template',
    'wiki',
    '--param',
    'team=web',
    '--url',
    'https://wiki.example.com/{{team}}',
  ])
  await done('create server files --from-template filesystem --set path=/srv/files')
  await done('create server plain -- some-server')
  await done('create project demo --server plain')
  await done('create serviceaccount nightly')
  await done('create group ops --member ServiceAccount:nightly --member User:ada')
  await done('create rolebinding ops --subject Group:ops --roleBindings role:run,resource:projects,name:demo')
  await done('create rolebinding root --subject User:ada --admin')
  await done('create identityprovider company --issuer https://login.example.com --client-id castellan')
  await done('create token ci -p demo --for ServiceAccount:nightly --ttl 30d --bind role:run,resource:tools')
  for (const kind of [
    'templates',
    'servers',
    'projects',
    'serviceaccounts',
    'groups',
    'rolebindings',
    'tokens',
  ]) {
    const yaml = await done(['get', kind, '-o', 'yaml'])
    const again = await runInMemory(['apply', '-f', '-'], {
      env: { CASTELLAN_URL: daemon.origin, CASTELLAN_TOKEN: credential },
      stdin: yaml,
    })
    expect(again.out.trim().split('\n'), kind).toEqual(
      again.out
        .trim()
        .split('\n')
        .map(() => expect.stringContaining(' unchanged') as string),
    )
  }
  expect(await done('get server files -o yaml')).toContain('/srv/files')
  expect(await done('describe token ci -p demo')).toMatch(/nightly[^]*tools/)
})

test('words of bindings that are nearly right are told apart from those that are wrong', async () => {
  const wrong = await run('create rolebinding x --subject User:ada --roleBindings role:view,resource:server')
  expect(wrong.code).toBe(2)
  expect(wrong.err).toContain('did you mean servers?')
  expect((await run('create rolebinding x --subject User:ada --roleBindings action:log')).err).toContain(
    'did you mean logs?',
  )
})

test('attach and detach', async () => {
  expect(await done('attach files -p demo')).toBe('server/files attached (project demo)\n')
  expect(await done('attach files -p demo')).toBe('server/files was attached already (project demo)\n')
  expect(await done('detach files -p demo')).toBe('server/files detached (project demo)\n')
  expect((await run('attach nope -p demo')).err).toContain('castellan get servers')
})

test('a token is replaced with --force, revoked, and then refused', async () => {
  const first = (await done('create token swap -p demo')).trim()
  expect((await run('create token swap -p demo')).code).toBe(1)
  expect((await run('create token swap -p demo --force --ttl 0d')).code).toBe(2)
  const endpoint = (token: string) =>
    fetch(`${daemon.origin}/projects/demo/mcp`, { headers: { authorization: `Bearer ${token}` } })
  expect((await endpoint(first)).status).not.toBe(401)
  const second = (await done('create token swap -p demo --force')).trim()
  expect((await endpoint(first)).status).toBe(401)
  expect((await endpoint(second)).status).not.toBe(401)
  expect(await done('revoke token swap -p demo')).toBe('token/swap revoked (project demo)\n')
  expect((await endpoint(second)).status).toBe(401)
  expect(await done('get tokens -p demo')).toMatch(/swap .*revoked/)
})

test('a token made by a token is refused, and so is one that goes beyond its maker', async () => {
  const token = (await done('create token maker -p demo --bind role:create,resource:tokens')).trim()
  const made = await run('create token child -p demo', { CASTELLAN_TOKEN: token })
  expect(made.code).toBe(1)
  await done(
    'create rolebinding bob --subject User:bob --roleBindings role:create,resource:tokens,project:demo',
  )
  await done('create rolebinding bob2 --subject User:bob --roleBindings role:run,resource:projects,name:demo')
  const as = ['--as', 'User:bob']
  const beyond = await run([
    'create',
    'token',
    't',
    '-p',
    'demo',
    '--bind',
    'role:edit,resource:projects',
    ...as,
  ])
  expect(beyond.code).toBe(1)
  expect(beyond.err).toContain('you do not hold role:edit,resource:projects')
})

describe('edit', () => {
  test('changes what was saved; what is saved unchanged or empty changes nothing', async () => {
    const env = editor(`sed -i 's/^spec:/spec:\\n  description: edited/' "$1"`)
    expect(await run('edit project demo', env)).toMatchObject({ code: 0, out: 'project/demo edited\n' })
    expect(await done('get project demo -o yaml')).toContain('description: edited')
    expect(await run('edit project/demo', editor('true'))).toMatchObject({ out: 'project/demo unchanged\n' })
    expect(await run('edit project demo', editor(': > "$1"'))).toMatchObject({
      out: 'project/demo unchanged\n',
    })
  })

  test('what is refused comes back with what is wrong on top; the second try counts', async () => {
    const seen = join(scratch, 'seen')
    const env = editor(
      `if grep -q 'It was refused' "$1"; then cp "$1" ${seen}; sed -i 's/descriptoin/description/' "$1"; else sed -i 's/description: edited/descriptoin: again/' "$1"; fi`,
    )
    expect(await run('edit project demo', env)).toMatchObject({ code: 0, out: 'project/demo edited\n' })
    expect(readFileSync(seen, 'utf8')).toMatch(
      /^#\| - spec\.descriptoin: unknown field; did you mean description\?$/m,
    )
    expect(await done('get project demo -o yaml')).toContain('description: again')
  })

  test('what stays wrong ends, and nothing that was typed is lost', async () => {
    const ran = await run(
      'edit project demo',
      editor(
        `sed -i 's/^spec:/spec:\\n  nonsense: true/;t' "$1"; grep -v '^#|' "$1" | awk '!seen[$0]++' > "$1.x"; cp "$1.x" "$1"`,
      ),
    )
    expect(ran.code).toBe(2)
    const [, path = ''] = /your text is kept in (\S+?);/.exec(ran.err) ?? []
    expect(readFileSync(path, 'utf8')).toContain('nonsense: true')
    expect(await done('get project demo -o yaml')).not.toContain('nonsense')
  })

  test('what somebody else has changed meanwhile stays, and says where the text is', async () => {
    const other = `${process.execPath} ${BIN} detach plain -p demo`
    const env = editor(`${other} >/dev/null || exit 9; sed -i 's/description: again/description: mine/' "$1"`)
    const ran = await run('edit project demo', {
      ...env,
      CASTELLAN_HOME: daemon.home,
      HOME: daemon.home,
    })
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('castellan edit project demo')
    const [, path = ''] = /your text is kept in (\S+?);/.exec(ran.err) ?? []
    expect(readFileSync(path, 'utf8')).toContain('description: mine')
    expect(await done('get project demo -o yaml')).toContain('description: again')
  })

  test('an editor that fails changes nothing and leaves nothing behind', async () => {
    const kept = join(scratch, 'path')
    const ran = await run('edit project demo', editor(`echo "$1" > ${kept}; exit 3`))
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toContain('VISUAL or EDITOR')
    expect(existsSync(readFileSync(kept, 'utf8').trim())).toBe(false)
  })
})

test('the values of a secret are shown when they are asked for, and stand in no log and no record', async () => {
  const value = 'planted-3b1f-value'
  await runInMemory(['create', 'secret', 'keys', '--from-stdin', 'token'], {
    env: { CASTELLAN_URL: daemon.origin, CASTELLAN_TOKEN: credential },
    stdin: value,
  })
  expect(await done('describe secret keys')).not.toContain(value)
  expect(await done('describe secret keys --show-values')).toContain(`Values:\n  token: ${value}\n`)
  expect(await done('logs')).not.toContain(value)
  expect(await done('audit -o json')).not.toContain(value)
  expect(await done('audit')).toContain('run reveal-secret')
})
