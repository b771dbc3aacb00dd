import { expect, test } from 'vitest'
import type { AuditRow } from '../../audit/query.ts'
import type { AuditSession } from '../../audit/sessions.ts'
import { renderAudit, renderSessions } from './audit.ts'

const row: AuditRow = {
  id: 'boot-1',
  atMs: 0,
  event: 'tools/call',
  kind: 'tool_call',
  principal: 'token:tok_1',
  principalName: 'laptop',
  user: 'ada',
  token: 'laptop',
  tokenSha: 'ab12cd34ef56'.padEnd(64, '0'),
  actor: 'user:usr_9',
  project: 'demo',
  target: 'up__echo\u001b[31m\n\u202e',
  decision: 'deny',
  reason: 'forbidden',
}

const session: AuditSession = {
  session: '50539ad1330b38e1',
  project: 'demo',
  principal: 'token:tok_1',
  principalName: 'laptop',
  user: 'ada',
  firstAtMs: 0,
  lastAtMs: 1_000,
  calls: 2,
  requests: 5,
  denied: 1,
}

const words = (text: string): string[][] =>
  text
    .split('\n')
    .slice(0, 2)
    .map((line) => line.split(/ {3,}/))

test('an entry says who it was, and nothing that a terminal would obey', () => {
  const [header, line] = words(renderAudit([row], { wide: false }))
  expect(header?.slice(0, 5)).toEqual(['TIME', 'USER', 'TOKEN', 'PRINCIPAL', 'PROJECT'])
  expect(line?.slice(1, 5)).toEqual(['ada', 'laptop', 'laptop', 'demo'])
  expect(line?.join(' ')).toContain('up__echo')
  for (const mark of ['\u001b', '\u202e']) expect(line?.join(' ')).not.toContain(mark)
})

test('wide: also who acted, and the digest as far as it is needed to look for it', () => {
  const [header, line] = words(renderAudit([row], { wide: true }))
  const cell = (name: string): string | undefined => line?.[header?.indexOf(name) ?? -1]
  expect([cell('ACTOR'), cell('SHA256'), cell('KIND')]).toEqual(['user:usr_9', 'ab12cd34ef56', 'tool_call'])
})

test('what was counted says how often', () => {
  const reasonOf = (entry: AuditRow): string | undefined =>
    words(renderAudit([entry], { wide: false }))[1]?.at(-1)
  expect(reasonOf(row)).toBe('forbidden')
  expect(reasonOf({ ...row, count: 1 })).toBe('forbidden')
  expect(reasonOf({ ...row, count: 40 })).toBe('forbidden ×40')
})

test('what is not there is a dash', () => {
  const [, line] = words(renderSessions({ items: [session], complete: true }, { wide: false }))
  expect(line).toEqual([
    '50539ad1330b',
    'demo',
    'ada',
    '-',
    'laptop',
    '1970-01-01T00:00:00.000Z',
    '1970-01-01T00:00:01.000Z',
    '2',
    '1',
  ])
})

test('sessions that were not counted to the end say so, and what to type', () => {
  expect(renderSessions({ items: [session], complete: true }, { wide: false })).not.toContain('Only')
  expect(renderSessions({ items: [session], complete: false }, { wide: false })).toMatch(
    /\n\nOnly the newest requests are counted: .*--since.*\n$/,
  )
})
