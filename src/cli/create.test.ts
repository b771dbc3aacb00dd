import { afterEach, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked } from '../../test/e2e/cli-in-memory.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

async function daemon(answer: (asked: Asked) => Answer = () => ({ status: 201, body: {} })) {
  const server = await listen(answer)
  open.push(server)
  const env = { CASTELLAN_URL: server.url, CASTELLAN_TOKEN: 'csa_test' }
  return { asked: server.asked, run: (...argv: string[]) => runInMemory(argv, { env }) }
}

const SUBJECT_ADA = { kind: 'User', name: 'ada' }

test.each([
  [
    ['create', 'group', 'web', '--member', 'User:ada', '--claim', 'company-web'],
    'groups',
    { members: [SUBJECT_ADA], claims: ['company-web'] },
  ],
  [
    ['create', 'serviceaccount', 'nightly', '--description', 'nightly build'],
    'serviceaccounts',
    { description: 'nightly build' },
  ],
  [
    [
      'create',
      'rolebinding',
      'web',
      '--subject',
      'User:ada',
      '--roleBindings',
      'role:edit,resource:servers',
      '--roleBindings',
      'action:logs',
    ],
    'rolebindings',
    {
      subjects: [SUBJECT_ADA],
      bindings: [
        { role: 'edit', resource: 'servers' },
        { role: 'run', action: 'logs' },
      ],
    },
  ],
  [
    [
      'create',
      'identityprovider',
      'company',
      '--issuer',
      'https://x',
      '--client-id',
      'c',
      '--client-secret',
      's/k',
      '--users',
      'existing',
      '--keep-tokens',
    ],
    'identityproviders',
    {
      issuer: 'https://x',
      clientId: 'c',
      clientSecret: { secretRef: { name: 's', key: 'k' } },
      users: 'existing',
      keepTokens: true,
    },
  ],
  [
    [
      'create',
      'template',
      't',
      '--param',
      'path',
      '--example',
      'path=/srv',
      '--mount',
      '{{path}}:write',
      '--',
      'x',
      '{{path}}',
    ],
    'templates',
    {
      parameters: [{ name: 'path', example: '/srv' }],
      server: {
        transport: 'stdio',
        command: 'x',
        args: ['{{path}}'],
        env: [],
        mounts: [{ path: '{{path}}', access: 'write' }],
      },
    },
  ],
  [
    ['create', 'project', 'p', '--server', 'a', '--deny-tool', '*'],
    'projects',
    { servers: ['a'], tools: { deny: ['*'] } },
  ],
  [
    'create server s --url https://x --grant mcp:s --grant-header X-Api-Key --whose per-user'.split(' '),
    'servers',
    {
      transport: 'http',
      url: 'https://x',
      headers: [],
      auth: { grant: 'mcp:s', header: 'X-Api-Key', whose: 'per-user' },
    },
  ],
  [
    ['create', 'secret', 's', '--backend', 'file', '--ref', 'token=/run/secrets/a=b', '--ref', 'pem=tls/key'],
    'secrets',
    { backend: 'file', refs: { token: '/run/secrets/a=b', pem: 'tls/key' } },
  ],
])('%j', async (argv, plural, spec) => {
  const { run, asked } = await daemon()
  const ran = await run(...argv)
  expect(ran).toMatchObject({ code: 0, err: '', out: `${argv[1]}/${argv[2]} created\n` })
  expect(asked[0]).toMatchObject({ method: 'POST', path: `/api/v1/${plural}` })
  expect((JSON.parse(asked[0]?.body ?? '') as { spec: unknown }).spec).toEqual(spec)
})

test.each([
  [['create', 'rolebinding', 'x', '--roleBindings', 'action:logs'], 'add: --subject User:NAME'],
  [['create', 'rolebinding', 'x', '--subject', 'User:ada'], '--admin'],
  [['create', 'rolebinding', 'x', '--subject', 'ada', '--admin'], 'Token:PROJECT/NAME'],
  [['create', 'identityprovider', 'x', '--issuer', 'https://x'], 'add: --issuer URL --client-id ID'],
  [['create', 'template', 'x', '--example', 'a=b', '--', 'x'], 'add: --param NAME'],
  [['create', 'server', 'x', '--set', 'a=b', '--', 'x'], 'add: --from-template TEMPLATE'],
  [['create', 'server', 'x', '--from-template', 't', '--', 'x'], '--from-template TEMPLATE --set NAME=VALUE'],
  [['create', 'server', 'x', '--url', 'https://x', '--whose', 'per-user'], 'say which one: --grant NAME'],
  [['create', 'server', 'x', '--grant', 'github', '--', 'x'], '--env-from NAME=SECRET/KEY'],
  [['create', 'token', 'x', '-p', 'demo', '--bind', 'servers'], 'write: --bind role:view,resource:servers'],
  [['create', 'token', 'x', '-p', 'demo', '--for', 'nightly'], 'write: --for User:ada'],
  [['attach', 'memory'], 'add: -p PROJECT'],
  [['revoke', 'token', 'x'], 'add: -p PROJECT'],
  [['create', 'secret', 'x', '--ref', 'k=V'], '--backend env --ref KEY=CASTELLAN_SECRET_VARIABLE'],
  [['create', 'secret', 'x', '--backend', 'env'], '--backend env --ref KEY=CASTELLAN_SECRET_VARIABLE'],
  [['create', 'secret', 'x', 'k', '--backend', 'env', '--ref', 'k=V'], '--from-file KEY=PATH'],
  [['describe', 'server', 'x', '--show-values'], 'castellan describe secret NAME --show-values'],
])('%j exits 2 and says what to write', async (argv, says) => {
  const { run, asked } = await daemon()
  const ran = await run(...argv)
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain(says)
  expect(asked).toEqual([])
})

test.each([
  ['get', 'server', '..'],
  ['get', 'server', '.'],
  ['delete', 'server', '..'],
  ['delete', 'server', ''],
  ['detach', '..', '-p', 'demo'],
  ['detach', 'x', '-p', '..'],
  ['attach', '', '-p', 'demo'],
  ['revoke', 'token', '..', '-p', 'demo'],
  ['describe', 'secret', '..', '--show-values'],
  ['edit', 'project', '..'],
  ['create', 'server', 'x', '--from-template', '..'],
])('%s %s %s is not asked: its address would be another one', async (...argv) => {
  const { run, asked } = await daemon()
  expect((await run(...argv)).code).toBe(2)
  expect(asked).toEqual([])
})

const TEMPLATE = {
  metadata: { name: 'files' },
  spec: {
    parameters: [
      { name: 'path', example: '/srv' },
      { name: 'mode', default: 'ro' },
    ],
    server: { transport: 'stdio', command: 'x', args: ['{{path}}', '--{{mode}}'] },
  },
}

test('a server from a template: parameters are put in, the rest is as it was', async () => {
  const { run, asked } = await daemon(({ method }) => ({ body: method === 'GET' ? TEMPLATE : {} }))
  expect(
    await run('create', 'server', 's', '--from-template', 'files', '--set', 'path=/a b=c'),
  ).toMatchObject({
    code: 0,
    out: 'server/s created\n',
  })
  expect(JSON.parse(asked[1]?.body ?? '')).toEqual({
    apiVersion: 'castellan/v1',
    kind: 'Server',
    metadata: { name: 's', labels: { 'castellan/template': 'files' } },
    spec: { transport: 'stdio', command: 'x', args: ['/a b=c', '--ro'] },
  })
})

test.each([
  [['--set', 'mode=rw'], 'add: --set path=VALUE'],
  [['--set', 'path=/a', '--set', 'paht=/b'], 'it has path, mode'],
  [['--set', 'path=/a', '--set', 'path=/b'], 'each name once'],
])('a template with %j is refused before anything is made', async (options, says) => {
  const { run, asked } = await daemon(() => ({ body: TEMPLATE }))
  const ran = await run('create', 'server', 's', '--from-template', 'files', ...options)
  expect(ran.code).toBe(2)
  expect(ran.err).toContain(says)
  expect(asked.filter(({ method }) => method !== 'GET')).toEqual([])
})

const rule = (given: object) => ({ rule: given, binding: '', from: '', via: '' })

test('--rbac clone takes what reaches into the project, once', async () => {
  const held = [
    rule({ role: 'view', resource: 'servers' }),
    rule({ role: 'edit', resource: 'tokens', project: 'other' }),
    rule({ role: 'edit', resource: 'tokens', project: 'demo' }),
    rule({ role: 'run', resource: 'projects', name: 'de*' }),
    rule({ role: 'run', resource: 'projects', name: 'other' }),
    rule({ role: 'run', action: 'logs' }),
    rule({ role: 'run', action: 'logs' }),
  ]
  const { run, asked } = await daemon(({ method }) => ({
    body: method === 'GET' ? { items: held } : { secret: 'cst_x' },
  }))
  await run('create', 'token', 't', '-p', 'demo', '--rbac', 'clone')
  expect((JSON.parse(asked[1]?.body ?? '') as { spec: unknown }).spec).toEqual({
    bindings: [
      { role: 'view', resource: 'servers' },
      { role: 'edit', resource: 'tokens' },
      { role: 'run', resource: 'projects', name: 'demo' },
      { role: 'run', action: 'logs' },
    ],
  })
})

test.each([
  [[], undefined],
  [['--rbac', 'empty'], []],
  [['--bind', 'role:view,resource:servers'], [{ role: 'view', resource: 'servers' }]],
])('create token with %j', async (options, bindings) => {
  const { run, asked } = await daemon(() => ({ body: { secret: 'cst_x' } }))
  const ran = await run('create', 'token', 't', '-p', 'demo', '--for', 'ServiceAccount:nightly', ...options)
  expect(ran).toMatchObject({ code: 0, out: 'cst_x\n' })
  expect((JSON.parse(asked[0]?.body ?? '') as { spec: unknown }).spec).toEqual({
    owner: { kind: 'ServiceAccount', name: 'nightly' },
    ...(bindings === undefined ? {} : { bindings }),
  })
})

test('--force deletes the one before only when another can be made, and says what it did', async () => {
  let refuse = true
  const { run, asked } = await daemon(({ method, path }) => {
    if (path.includes('dryRun') && refuse) return { status: 403, body: PROBLEM }
    return { body: method === 'POST' ? { secret: 'cst_new' } : {} }
  })
  const again = () => run('create', 'token', 't', '-p', 'demo', '--force')
  expect((await again()).code).toBe(1)
  expect(asked.filter(({ method }) => method === 'DELETE')).toEqual([])
  refuse = false
  const ran = await again()
  expect(ran).toMatchObject({ code: 0, out: 'cst_new\n' })
  expect(ran.err).toContain('replaced, and the secret of the one before is refused')
  expect(asked.slice(-2).map(({ method, path }) => `${method} ${path}`)).toEqual([
    'DELETE /api/v1/tokens/t?project=demo',
    'POST /api/v1/tokens?project=demo',
  ])
})

const PROBLEM = { type: '/api/v1/faults/forbidden', title: 'no', status: 403, code: 'forbidden' }
