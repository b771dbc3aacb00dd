import { describe, expect, test } from 'vitest'
import { createChain, sameMac, type SegmentContent } from './chain.ts'

const key = new Uint8Array(32).fill(7)
const content: SegmentContent = { seq: 2, count: 3, firstAtMs: 4, lastAtMs: 5, body: 'body' }

describe('the MAC of a segment', () => {
  const chain = createChain('daemon', key)
  const mac = chain.mac(content, chain.genesis)

  test('is the same for the same content', () => {
    expect(sameMac(createChain('daemon', key).mac(content, chain.genesis), mac)).toBe(true)
  })

  // oxfmt-ignore
  const others: readonly (readonly [what: string, other: () => Uint8Array])[] = [
    ['seq',         () => chain.mac({ ...content, seq: 3 }, chain.genesis)],
    ['count',       () => chain.mac({ ...content, count: 2 }, chain.genesis)],
    ['first time',  () => chain.mac({ ...content, firstAtMs: -4 }, chain.genesis)],
    ['last time',   () => chain.mac({ ...content, lastAtMs: 6 }, chain.genesis)],
    ['body',        () => chain.mac({ ...content, body: 'bodY' }, chain.genesis)],
    ['MAC before',  () => chain.mac(content, mac)],
    ['chain',       () => createChain('daemon2', key).mac(content, chain.genesis)],
    ['key',         () => createChain('daemon', new Uint8Array(32)).mac(content, chain.genesis)],
  ]
  test.each(others)('is another with another %s', (_, other) => {
    expect(sameMac(other(), mac)).toBe(false)
  })

  test('begins differently for each chain and key', () => {
    expect(sameMac(chain.genesis, createChain('daemon2', key).genesis)).toBe(false)
    expect(sameMac(chain.genesis, createChain('daemon', new Uint8Array(32)).genesis)).toBe(false)
  })
})
