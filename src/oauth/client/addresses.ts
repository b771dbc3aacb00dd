import { BlockList, isIP } from 'node:net'

/** Ranges that no public host is in (RFC 6890 and the IANA registries of special-purpose addresses). */
// oxfmt-ignore
const SPECIAL: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24],
  ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24],
  ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4],
  ['::', 96], ['::ffff:0:0:0', 96], ['64:ff9b::', 96], ['64:ff9b:1::', 48], ['100::', 64], ['2001::', 23], ['2001:db8::', 32],
  ['2002::', 16], ['3fff::', 20], ['5f00::', 16], ['fc00::', 7], ['fe80::', 10], ['fec0::', 10], ['ff00::', 8],
]

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

const special = new BlockList()
for (const [network, prefix] of SPECIAL) special.addSubnet(network, prefix, familyOf(network))

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

export type Reach = 'public' | 'loopback' | 'special'

/** How far an IP address reaches. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) counts as what it is. */
export function reachOf(address: string): Reach {
  const family = familyOf(address)
  if (loopback.check(address, family)) return 'loopback'
  return special.check(address, family) ? 'special' : 'public'
}

/** Of a hostname as `URL` has it, where no lookup is needed to know. */
export const isLoopbackHost = (hostname: string): boolean => {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || (isIP(bare) !== 0 && reachOf(bare) === 'loopback')
}
