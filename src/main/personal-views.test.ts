import { expect, test } from 'vitest'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { ServerView } from '../gateway/snapshot.ts'
import type { ServerAuth } from '../kinds/server-auth.ts'
import { createPersonalViews, holderIn, personOf } from './personal-views.ts'

const OWNERS = {
  ada: { kind: 'User', name: 'ada', uid: 'usr_ada' },
  bot: { kind: 'ServiceAccount', name: 'bot', uid: 'sac_bot' },
  nobody: undefined,
} as const

/** A configuration with one project of these servers, which can be replaced. */
function configuration(auths: Readonly<Record<string, ServerAuth['whose'] | 'none'>>) {
  let revision = 0
  let views = build(auths)
  const credentials = new Map(
    Object.entries(OWNERS).map(([name, owner]) => [`digest-${name}`, { kind: 'token', owner }]),
  )
  const digests = new Map(Object.keys(OWNERS).map((name) => [`tok_${name}`, `digest-${name}`]))
  const byUid = new Map([['usr_ada', { resource: { metadata: { name: 'ada' } } }]])
  const source = {
    current: () => views,
    state: () => ({ credentials, digests, byUid }),
    secretValue: () => undefined,
  } as unknown as SnapshotSource

  function build(of: typeof auths) {
    const servers = Object.entries(of).map(([name, whose]) => ({
      uid: `srv_${name}`,
      name,
      fingerprint: `f-${whose}`,
      spec:
        whose === 'none'
          ? { transport: 'stdio', command: 'x' }
          : { transport: 'http', url: 'https://a.example', auth: { grant: 'mcp:a', whose } },
    })) as unknown as ServerView[]
    const project = { uid: 'prj_demo', name: 'demo', spec: {}, servers }
    return {
      revision: ++revision,
      project: (name: string) => (name === 'demo' ? project : undefined),
      projects: () => [project],
      server: (name: string) => servers.find((one) => one.name === name),
    }
  }
  return { source, replace: (of: typeof auths) => void (views = build(of)) }
}

const shared = 'shared' as const
const uids = (views: readonly ServerView[] | undefined) => views?.map(({ uid }) => uid)

// oxfmt-ignore
test.each([
  ['local-admin',            'local-admin'],
  ['user:usr_ada',           'user:usr_ada'],
  ['token:tok_ada',          'user:usr_ada'],
  ['token:tok_bot',          'service-account:sac_bot'],
  ['token:tok_nobody',       'local-admin'],
  ['token:tok_revoked',      'nobody'],
  ['as:User:ada',            'nobody'],
  ['service-account:sac_bot','nobody'],
  ['',                       'nobody'],
])('the connections of %j are those of %s', (principal, holder) => {
  const { source } = configuration({})
  expect(personOf(source, principal)).toBe(holder)
})

test('a project whose servers all share what they have is one view for everybody, and nobody is looked up', () => {
  const { source } = configuration({ a: shared, b: 'none' })
  const views = createPersonalViews(source)
  expect(views.viewer('demo', 'user:usr_ada', 'modern')).toBe('')
  expect(views.current().project('demo', 'user:usr_ada')).toBe(source.current().project('demo'))
})

test('a server of each person is another one for each, and the others stay what they are', () => {
  const { source } = configuration({ mine: 'per-user', ours: shared, stdio: 'none' })
  const views = createPersonalViews(source)
  const [ada, ben] = ['user:usr_ada', 'user:usr_ben'].map((key) => {
    const viewer = views.viewer('demo', key, 'modern')
    return views.current().project('demo', viewer)?.servers
  })
  expect(uids(ada)).toEqual(['srv_mine~user:usr_ada', 'srv_ours', 'srv_stdio'])
  expect(uids(ben)).toEqual(['srv_mine~user:usr_ben', 'srv_ours', 'srv_stdio'])
  expect(ada?.[0]).toMatchObject({ holder: 'user:usr_ada', holderName: 'ada', ofOneCaller: true })
  expect(ada?.[0]?.fingerprint).not.toBe(ben?.[0]?.fingerprint)
  expect(ada?.[1]).toBe(ben?.[1])
  // The same objects again: caches key on them.
  expect(views.current().project('demo', 'user:usr_ada')?.servers[0]).toBe(ada?.[0])
})

test('somebody and their tokens have one view; whoever acts as them has not', () => {
  const views = createPersonalViews(configuration({ mine: 'caller' }).source)
  const viewers = ['user:usr_ada', 'token:tok_ada', 'as:User:ada'].map((key) =>
    views.viewer('demo', key, 'legacy'),
  )
  expect(viewers).toEqual(['user:usr_ada', 'user:usr_ada', 'nobody'])
})

test('a server of each project is the same for everybody in it', () => {
  const { source } = configuration({ ours: 'per-project' })
  const views = createPersonalViews(source)
  expect(views.viewer('demo', 'user:usr_ada', 'modern')).toBe('')
  const [server] = views.current().project('demo')?.servers ?? []
  expect(server).toMatchObject({ uid: 'srv_ours~project:prj_demo', holder: 'project:prj_demo' })
  expect(views.current().server('ours', 'srv_ours~project:prj_demo')).toBe(server)
})

test('a view that somebody holds is found by its uid, until its server is reached in another way', () => {
  const { source, replace } = configuration({ mine: 'per-user' })
  const views = createPersonalViews(source)
  const uid = 'srv_mine~user:usr_ada'
  expect(views.current().server('mine', uid)).toMatchObject({ uid, holder: 'user:usr_ada' })
  expect(views.current().server('mine')).toMatchObject({ uid: 'srv_mine' })
  expect(views.current().server('mine', 'srv_other~user:usr_ada')).toBeUndefined()
  expect(views.current().server('mine', 'srv_mine~project:prj_demo')).toBeUndefined()
  replace({ mine: shared })
  expect(views.current().server('mine', uid)).toBeUndefined()
  expect(uids(views.current().project('demo', 'user:usr_ada')?.servers)).toEqual(['srv_mine'])
  replace({ mine: 'per-project' })
  expect(views.current().server('mine', uid)).toBeUndefined()
})

test('whose a view is stands in its uid', () => {
  expect(['srv_a', 'srv_a~user:usr_b', 'srv_a~local-admin'].map(holderIn)).toEqual([
    undefined,
    'user:usr_b',
    'local-admin',
  ])
})
