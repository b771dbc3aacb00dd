import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PeerReply, PeerService, Peers } from '../../src/gateway/peers.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { mintBootEpoch } from '../../src/lib/id.ts'
import { createPeerNetwork, type PeerNetwork } from '../../src/main/peers/peer-network.ts'
import { openStore } from '../../src/store/open.ts'
import { listPeers, putPeer } from '../../src/store/peers.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../e2e/gateway-harness.ts'

/* What processes on one database say to each other: over real connections, several of them here in one. */

const log = pino({ level: 'silent' })
let home: string
let store: Store
let key: Buffer
let networks: PeerNetwork[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-peers-'))
  store = await openStore({ home }, log)
  key = randomBytes(32)
  networks = []
})
afterEach(async () => {
  await Promise.all(networks.map((network) => network.close()))
  await store.close()
  await rm(home, { recursive: true, force: true })
})

/** @param service is spared what processes say when they begin */
async function enter(
  service: PeerService,
  more: { key?: Buffer; port?: number; onGone?: () => void } = {},
): Promise<PeerNetwork> {
  const network = createPeerNetwork({
    db: store.state,
    key: more.key ?? key,
    self: mintBootEpoch(),
    host: '127.0.0.1',
    port: more.port ?? 0,
    publicUrl: undefined,
    clock,
    log,
    onGone: more.onGone ?? (() => {}),
  })
  networks.push(network)
  await network.start((channel, body, reply) =>
    channel === 'session' && body.includes('hello') ? reply.end() : service(channel, body, reply),
  )
  return network
}

/** What was heard, in order. */
function listen(peers: Peers, node: string, body = '{}'): { heard: string[]; readonly abort: () => void } {
  const heard: string[] = []
  const opened = peers.open(node, 'park', body, {
    line: (text) => heard.push(text),
    end: () => heard.push('END'),
    gone: () => heard.push('GONE'),
  })
  return { heard, abort: () => opened.abort() }
}

const SILENT: PeerService = (_channel, _body, reply) => reply.end()

test('each line arrives when it is said, and the end after the last', async () => {
  const replies: PeerReply[] = []
  const bodies: string[] = []
  const b = await enter((channel, body, reply) => {
    bodies.push(`${channel} ${body}`)
    replies.push(reply)
  })
  const a = await enter(SILENT)
  const { heard } = listen(a.peers, b.peers.self, '{"a":"ü\\n"}')
  const reply = await until('it has arrived', () => replies[0])
  expect(bodies).toEqual(['park {"a":"ü\\n"}'])
  reply.line('{"n":1}')
  await until('the first line', () => heard.length === 1)
  const large = JSON.stringify('x'.repeat(3_000_000))
  reply.line(large)
  reply.line('""')
  reply.end()
  await until('the end', () => heard.length === 4)
  expect(heard).toEqual(['{"n":1}', large, '""', 'END'])
})

test('who gives up is heard of at the other side, once, and hears nothing more', async () => {
  const replies: PeerReply[] = []
  let aborted = 0
  const b = await enter((_channel, _body, reply) => {
    reply.onAbort(() => aborted++)
    replies.push(reply)
  })
  const a = await enter(SILENT)
  const { heard, abort } = listen(a.peers, b.peers.self)
  const reply = await until('it has arrived', () => replies[0])
  abort()
  await until('it is heard', () => aborted === 1)
  reply.line('late')
  reply.end()
  expect(heard).toEqual([])
  // Given up before it has left.
  const early = listen(a.peers, b.peers.self)
  early.abort()
  const unknown = listen(a.peers, 'nobody')
  unknown.abort()
  await until('others are served', () => listen(a.peers, b.peers.self) && replies.length > 1)
  expect([early.heard, unknown.heard]).toEqual([[], []])
})

test('a process that nobody knows is gone, and so is one that ends while it speaks', async () => {
  const a = await enter(SILENT)
  const nobody = listen(a.peers, 'nobody')
  await until('it is gone', () => nobody.heard.length > 0)
  const b = await enter((_channel, _body, reply) => reply.line('1'))
  const { heard } = listen(a.peers, b.peers.self)
  await until('it speaks', () => heard.length === 1)
  await b.close()
  await until('it is gone', () => heard.length === 2)
  const after = listen(a.peers, b.peers.self)
  await until('it stays so', () => after.heard.length === 1)
  expect([nobody.heard, heard, after.heard]).toEqual([['GONE'], ['1', 'GONE'], ['GONE']])
})

test('gone is who is not in the directory or silent there, not who cannot be reached', async () => {
  let told = 0
  const a = await enter(SILENT, { onGone: () => told++ })
  const b = await enter(SILENT)
  // It is not there, but may well be: it has not been silent for long.
  await putPeer(store.state, { node: 'unreachable', url: 'http://127.0.0.1:1' })
  const nobody = listen(a.peers, 'unreachable')
  await until('it cannot be reached', () => nobody.heard.length === 1)
  expect(await a.goneOf([b.peers.self, 'unreachable', 'never-there'])).toEqual(['never-there'])
  expect(told).toBe(0)
  await b.close()
  expect(await a.goneOf([b.peers.self, 'unreachable'])).toEqual([b.peers.self])
  expect(told).toBe(1)
})

test('another process at the same address is not taken for the one that was there', async () => {
  const served: string[] = []
  const a = await enter(SILENT)
  const b = await enter((_channel, body) => void served.push(body))
  const { url } = (await listPeers(store.state)).find(({ node }) => node === b.peers.self) ?? { url: '' }
  // Killed: its row stays, and its port goes to the next.
  await b.close()
  await putPeer(store.state, { node: b.peers.self, url })
  await enter((_channel, body) => void served.push(body), { port: Number(new URL(url).port) })
  served.length = 0
  const { heard } = listen(a.peers, b.peers.self)
  await until('it is gone', () => heard.length === 1)
  expect([heard, served]).toEqual([['GONE'], []])
})

test('an answer that is not signed is none', async () => {
  const liar = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.end(`${'A'.repeat(43)}l{"answer":"forged"}\n${'A'.repeat(43)}e\n`)
  })
  await new Promise<void>((resolve) => {
    liar.listen(0, '127.0.0.1', resolve)
  })
  const { port } = liar.address() as AddressInfo
  await putPeer(store.state, { node: 'liar', url: `http://127.0.0.1:${port}` })
  const a = await enter(SILENT)
  const { heard } = listen(a.peers, 'liar')
  await until('it is gone', () => heard.length === 1)
  expect(heard).toEqual(['GONE'])
  liar.close()
})

test('with another key one is neither heard nor served', async () => {
  const served: string[] = []
  const a = await enter((_channel, body) => void served.push(body))
  const stranger = await enter(SILENT, { key: randomBytes(32) })
  served.length = 0
  const { heard } = listen(stranger.peers, a.peers.self)
  await until('it is gone', () => heard.length === 1)
  expect([heard, served]).toEqual([['GONE'], []])
})

test('a broadcast reaches all others, waits for none that is dead, and brings back what they say', async () => {
  const said: string[] = []
  const answering =
    (name: string): PeerService =>
    (channel, body, reply) => {
      said.push(`${name} ${channel} ${body}`)
      reply.line(`"${name}"`)
      reply.end()
    }
  await putPeer(store.state, { node: 'dead', url: 'http://127.0.0.1:1' })
  const a = await enter(answering('a'))
  await enter(answering('b'))
  await enter(answering('c'))
  const heard: string[] = []
  await a.peers.broadcast('session', '{"x":1}', (_node, text) => heard.push(text))
  expect(heard.toSorted()).toEqual(['"b"', '"c"'])
  expect(said.toSorted()).toEqual(['b session {"x":1}', 'c session {"x":1}'])
})

test('a service that meets a bug loses this request and no other', async () => {
  const a = await enter(SILENT)
  const b = await enter((_channel, body, reply) => {
    if (body === 'bad') throw new TypeError('on purpose')
    reply.end()
  })
  const bad = listen(a.peers, b.peers.self, 'bad')
  await until('it is gone', () => bad.heard.length === 1)
  const good = listen(a.peers, b.peers.self, 'good')
  await until('it ends', () => good.heard.length === 1)
  expect([bad.heard, good.heard]).toEqual([['GONE'], ['END']])
})
