import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createTaskHandles } from './task-handles.ts'

const KEY = randomBytes(32)
const OWNER = { principal: 'token:a', project: 'p' }
const TASK = { server: 'one', tool: 'one__slow', taskId: 'é"\\.1' }

test('a handle leads back to its task, in every process with the same key', () => {
  const handle = createTaskHandles(KEY).give(OWNER, TASK)
  expect(createTaskHandles(KEY).read(OWNER, handle)).toEqual(TASK)
  expect(createTaskHandles(KEY).give(OWNER, TASK)).toBe(handle)
  // Clients repeat it in a header.
  expect(handle).toMatch(/^[\w.-]+$/)
})

test('for nobody else, nowhere else, and not when it was changed', () => {
  const handles = createTaskHandles(KEY)
  const handle = handles.give(OWNER, TASK)
  expect(handles.read({ ...OWNER, principal: 'token:b' }, handle)).toBeUndefined()
  expect(handles.read({ ...OWNER, project: 'q' }, handle)).toBeUndefined()
  expect(createTaskHandles(randomBytes(32)).read(OWNER, handle)).toBeUndefined()
  const [prefix, body, mac] = handle.split('.')
  const forged = Buffer.from(JSON.stringify(['two', 'one__slow', '1'])).toString('base64url')
  for (const bad of [
    '',
    'é"\\.1',
    `${prefix}.${body}`,
    `${prefix}.${body}.`,
    `${prefix}.${forged}.${mac}`,
    `${handle}.`,
    `${handle}a`,
    handle.toUpperCase(),
    `${prefix}.${'a'.repeat(9000)}.${mac}`,
  ])
    expect(handles.read(OWNER, bad)).toBeUndefined()
})
