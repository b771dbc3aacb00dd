import { expect, test } from 'vitest'
import { isLoopbackHost, reachOf } from './addresses.ts'

// oxfmt-ignore
test.each([
  ['8.8.8.8', 'public'], ['172.32.0.1', 'public'], ['2606:4700::1111', 'public'], ['::ffff:8.8.8.8', 'public'],
  ['127.0.0.1', 'loopback'], ['127.255.0.9', 'loopback'], ['::1', 'loopback'], ['::ffff:127.0.0.1', 'loopback'],
  ['0.0.0.0', 'special'], ['10.1.2.3', 'special'], ['172.16.0.1', 'special'], ['192.168.1.1', 'special'],
  ['169.254.169.254', 'special'], ['100.64.0.1', 'special'], ['224.0.0.1', 'special'], ['255.255.255.255', 'special'],
  ['::', 'special'], ['fe80::1', 'special'], ['fd00::1', 'special'], ['ff02::1', 'special'], ['2001:db8::1', 'special'],
  ['::ffff:10.0.0.1', 'special'], ['::ffff:a9fe:a9fe', 'special'], ['64:ff9b::a00:1', 'special'], ['2002:a00:1::', 'special'],
  ['::10.0.0.1', 'special'], ['::7f00:1', 'special'], ['::ffff:0:a00:1', 'special'], ['2001:0:a00:1::', 'special'],
] as const)('%s is %s', (address, reach) => {
  expect(reachOf(address)).toBe(reach)
})

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['[::1]', true],
  ['localhost.example', false],
  ['10.0.0.1', false],
])('host %s on loopback: %s', (host, expected) => {
  expect(isLoopbackHost(host)).toBe(expected)
})
