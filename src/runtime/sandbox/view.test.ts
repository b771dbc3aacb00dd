import { expect, test } from 'vitest'
import { createView } from './view.ts'

const host = (path: string, source = path) => ({ kind: 'host', path, source, write: false }) as const

test('a deeper layer counts, whatever the order in which they were added', () => {
  const view = createView()
  view.add(host('/home/me/project'))
  view.add({ kind: 'shadow', path: '/home', of: 'directory' })
  view.add({ kind: 'home', path: '/home/me', source: '/private' })
  expect(view.layers().map(({ path }) => path)).toEqual(['/home', '/home/me', '/home/me/project'])
  expect(view.shows('/home/you')).toBe(false)
  expect(view.shows('/home/me/x')).toBe(false)
  expect(view.shows('/home/me/project/x')).toBe(true)
  expect(view.shows('/home/me/projects')).toBe(false)
  expect(view.shows('/homes')).toBe(true)
})

test('of two layers at one path the later counts', () => {
  const view = createView()
  view.add({ kind: 'home', path: '/home/me', source: '/private' })
  view.add(host('/home/me'))
  expect(view.shows('/home/me/x')).toBe(true)
  expect(view.layers()).toHaveLength(1)
})

test('a path that shows something else of the host does not show what the host has there', () => {
  const view = createView()
  view.add(host('/home/me/link', '/data/real'))
  expect(view.shows('/home/me/link')).toBe(false)
})
