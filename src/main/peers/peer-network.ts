import type { AddressInfo } from 'node:net'
import type { PeerChannel, PeerEars, Peers, PeerService } from '../../gateway/peers.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { StateDb } from '../../store/tables.ts'
import { listenOn } from '../listening.ts'
import { createPeerCaller } from './caller.ts'
import { createPeerDirectory, type OtherDaemon } from './directory.ts'
import { createPeerListener, PEER_PATHS } from './listener.ts'
import { createPeerSigner } from './sign.ts'

export interface PeerNetworkDeps {
  readonly db: StateDb
  /** Derived from the master key: who has another one is nobody's peer. */
  readonly key: Buffer
  /** Our boot epoch. */
  readonly self: string
  readonly host: string
  readonly port: number
  /** Where others reach us, if that is not where we listen. */
  readonly publicUrl: string | undefined
  readonly clock: Clock
  readonly log: Log
  /** Another process has ended, or is as good as that. */
  readonly onGone: () => void
}

export interface PeerNetwork {
  readonly peers: Peers
  /** Which of these processes live no more. */
  goneOf(nodes: readonly string[]): Promise<readonly string[]>
  /** All others that are known, for people. */
  daemons(): readonly OtherDaemon[]
  /** Removes from the database who has been gone for long: one process does it for all. */
  forgetGone(): Promise<void>
  /** Begins to serve the others, and to be found by them. */
  start(service: PeerService): Promise<void>
  /** Is found no more; what others are still being told is cut. */
  close(): Promise<void>
}

/** How long a broadcast waits for those that are slow. */
const BROADCAST_MS = 1000
/** Says nothing: whoever hears it learns that we are there. */
const HELLO = '{"do":"hello"}'

export function createPeerNetwork(deps: PeerNetworkDeps): PeerNetwork {
  const { clock, log, self, onGone } = deps
  const signer = createPeerSigner(deps.key)
  const directory = createPeerDirectory({ db: deps.db, self, log, tickMs: clock.tickMs, onGone })
  const caller = createPeerCaller({ self, signer, nowMs: clock.nowMs })
  let stop: (() => Promise<void>) | undefined

  function call(to: { node: string; url: string }, channel: PeerChannel, body: string, hear: PeerEars) {
    return caller.call({ ...to, path: PEER_PATHS[channel], body }, hear, (what, detail) => {
      if (what === 'refused') directory.unreachable(to.node)
      log.debug({ peer: to.node, channel, detail }, 'another process could not be asked')
    })
  }

  const open: Peers['open'] = (node, channel, body, hear) => {
    const url = directory.find(node)
    if (url !== undefined) return call({ node, url }, channel, body, hear)
    let aborted = false
    let running: { abort(): void } | undefined
    void directory.lookUp(node).then((found) => {
      if (aborted) return
      if (found === undefined) hear.gone()
      else running = call({ node, url: found }, channel, body, hear)
    })
    return {
      abort() {
        aborted = true
        running?.abort()
      },
    }
  }

  const broadcast: Peers['broadcast'] = (channel, body, line) => {
    const all = directory.others().map(
      (node) =>
        new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, BROADCAST_MS).unref()
          const done = (): void => {
            clearTimeout(timer)
            resolve()
          }
          open(node, channel, body, { line: (text) => line?.(node, text), end: done, gone: done })
        }),
    )
    return Promise.all(all).then(() => undefined)
  }

  return {
    peers: { self, open, broadcast },
    goneOf: (nodes) => directory.goneOf(nodes),
    daemons: () => directory.list(),
    forgetGone: () => directory.forgetGone(),
    async start(service) {
      const { heard } = directory
      const server = createPeerListener({ self, signer, service, heard, clock, log })
      await listenOn(server, deps, 'peer-listen')
      stop = () =>
        new Promise((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      const { port } = server.address() as AddressInfo
      const host = deps.host.includes(':') ? `[${deps.host}]` : deps.host
      const url = deps.publicUrl ?? `http://${host}:${port}`
      await directory.publish(url)
      await broadcast('session', HELLO)
      log.info({ url, others: directory.others().length }, 'other processes on this database reach this one')
    },
    async close() {
      await directory.close()
      await stop?.()
      await caller.close()
    },
  }
}
