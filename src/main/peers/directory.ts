import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../lib/log.ts'
import { listPeers, putPeer, removePeer } from '../../store/peers.ts'
import type { PeerRow, StateDb } from '../../store/tables.ts'

/** Which processes work on this database, and where they are reached. */
export interface PeerDirectory {
  /** Begins to be found. */
  publish(url: string): Promise<void>
  /** Where a process is, if it is known and alive. */
  find(node: string): string | undefined
  /** Asks the database for one that is not known: it may have begun a moment ago. */
  lookUp(node: string): Promise<string | undefined>
  /** It has said something authentic. A promise: it was not known, and will be. */
  readonly heard: (node: string) => Promise<void> | undefined
  /** All that are known but ourselves, for people. */
  list(): readonly OtherDaemon[]
  /** All but ourselves that are alive. */
  others(): readonly string[]
  /** Which of them live no more, as the database says at this moment: silent for too long, or not there at all. */
  goneOf(nodes: readonly string[]): Promise<readonly string[]>
  /** Removes who has been gone for so long that nobody asks for it any more. */
  forgetGone(): Promise<void>
  /** Somebody tried to reach it in vain. */
  unreachable(node: string): void
  /** Ends being found. */
  close(): Promise<void>
}

export interface PeerDirectoryDeps {
  readonly db: StateDb
  readonly self: string
  readonly log: Log
  /** Monotonic, ms. */
  readonly tickMs: () => number
  /** A process that was there lives no more. */
  readonly onGone: () => void
}

/** Another daemon on the same database. */
export interface OtherDaemon {
  /** The name of its host; empty when it has said none. */
  readonly host: string
  /** Where daemons reach it. */
  readonly url: string
  /** `unreachable`: it shows in the database that it lives, but not at its address. `gone`: silent for 15 s. */
  readonly state: 'alive' | 'unreachable' | 'gone'
}

interface Known {
  readonly host: string
  readonly url: string
  readonly beat: number
  /** How many of our own beats have found its beat where it was: no clock of another host is asked. */
  readonly still: number
  readonly unreachable: boolean
  /** It was unreachable before, although it lives. */
  readonly warned: boolean
}

const BEAT_MS = 3000
/** 15 s without a beat: whoever is that silent is gone. */
const GONE_AFTER = 5
const FORGOTTEN_AFTER = 20
/** An unknown name is looked up at most this often: names come in what clients send. */
const LOOK_UP_EVERY_MS = 250

export function createPeerDirectory({ db, self, log, tickMs, onGone }: PeerDirectoryDeps): PeerDirectory {
  let known = new Map<string, Known>()
  let timer: NodeJS.Timeout | undefined
  let published: string | undefined
  let reading: Promise<void> | undefined
  let readAtMs = -Infinity
  let failing = false

  const isAlive = ({ still, unreachable }: Known): boolean => still < GONE_AFTER && !unreachable
  // One that cannot be reached may be at work all the same.
  const isGone = (node: string): boolean => (known.get(node)?.still ?? GONE_AFTER) >= GONE_AFTER
  const find = (node: string): string | undefined => {
    const peer = known.get(node)
    return peer !== undefined && isAlive(peer) ? peer.url : undefined
  }

  /** @param isBeat one of our own beats: only those measure how long others have been silent */
  async function read(isBeat: boolean): Promise<void> {
    const rows = (await listPeers(db)).filter(({ node }) => node !== self)
    readAtMs = tickMs()
    const before = [...known.keys()].filter((node) => !isGone(node))
    known = new Map(rows.map((row) => [row.node, seen(known.get(row.node), row, isBeat)]))
    if (before.some(isGone)) onGone()
  }

  /** All who ask meanwhile share one reading. */
  function soon(): Promise<void> {
    const waitMs = Math.max(0, readAtMs + LOOK_UP_EVERY_MS - tickMs())
    reading ??= sleep(waitMs, undefined, { ref: false })
      .then(() => read(false))
      .catch(() => undefined)
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  async function beat(): Promise<void> {
    try {
      if (published !== undefined) await putPeer(db, { node: self, url: published, host: hostname() })
      await read(true)
      failing = false
    } catch (thrown) {
      if (!failing) log.warn({ err: thrown }, 'other processes on this database cannot be looked up')
      failing = true
    }
    if (published !== undefined) timer = setTimeout(() => void beat(), BEAT_MS).unref()
  }

  return {
    async publish(url) {
      published = url
      // The first time it has to work: who cannot be found must not say that it is ready.
      await putPeer(db, { node: self, url, host: hostname() })
      await beat()
    },
    find,
    async lookUp(node) {
      if (!known.has(node)) await soon()
      return find(node)
    },
    heard: (node) => (find(node) === undefined ? read(false).catch(() => undefined) : undefined),
    list: () =>
      [...known].map(([node, peer]) => ({
        host: peer.host,
        url: peer.url,
        state: isGone(node) ? 'gone' : peer.unreachable ? 'unreachable' : 'alive',
      })),
    others: () => [...known].filter(([, peer]) => isAlive(peer)).map(([node]) => node),
    async goneOf(nodes) {
      await read(false)
      return nodes.filter(isGone)
    },
    async forgetGone() {
      for (const [node, peer] of known)
        if (peer.still >= FORGOTTEN_AFTER) await removePeer(db, node, peer.beat)
    },
    unreachable(node) {
      const peer = known.get(node)
      if (peer === undefined) return
      const lives = peer.beat > 0 && peer.still === 0
      if (lives && !peer.warned)
        log.warn(
          { peer: node, url: peer.url },
          'a process on this database cannot be reached at its address; give it --peer-listen and --peer-url',
        )
      known.set(node, { ...peer, unreachable: true, warned: lives || peer.warned })
    },
    async close() {
      published = undefined
      clearTimeout(timer)
      await removePeer(db, self).catch(() => undefined)
    },
  }
}

function seen(before: Known | undefined, { host, url, beat }: PeerRow, isBeat: boolean): Known {
  if (before === undefined) return { host, url, beat, still: 0, unreachable: false, warned: false }
  if (before.beat !== beat) return { ...before, host, url, beat, still: 0, unreachable: false }
  return isBeat ? { ...before, still: before.still + 1 } : before
}
