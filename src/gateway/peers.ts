/*
 * Other processes of Castellan that work on the same database. Any request of a client may arrive at any of them, so
 * what one process holds (a stream, a call in flight, a parked call) the others have to find.
 */

/** What a message is about: a session that several processes know, or a call that one of them has parked. */
export type PeerChannel = 'session' | 'park'

/** What comes back from another process. Exactly one of `end` and `gone` is called, after all lines. */
export interface PeerEars {
  line(text: string): void
  /** It has said everything. */
  end(): void
  /** It is not there (any more), or was lost on the way: nobody knows whether it did what it was asked. */
  gone(): void
}

export interface Peers {
  /** Our boot epoch: the name of this process among its peers. */
  readonly self: string
  /**
   * Sends one JSON message to the process `node` and streams back what it says, line by line. A process that is not
   * known or silent for too long is gone at once. `abort` tells the other side; nothing is heard after it.
   */
  open(node: string, channel: PeerChannel, body: string, hear: PeerEars): { abort(): void }
  /**
   * To every other live process, best effort.
   * @param line what each of them says
   * @returns resolves once each has answered, is gone, or has taken too long
   */
  broadcast(channel: 'session', body: string, line?: (node: string, text: string) => void): Promise<void>
}

/** The way back to the process that asked. */
export interface PeerReply {
  /** One line of JSON: it leaves at once. */
  line(text: string): void
  end(): void
  /** The other process has given up, or is gone. */
  onAbort(listener: () => void): void
}

/** What the gateway does for its peers. */
export type PeerService = (channel: PeerChannel, body: string, reply: PeerReply) => void

/** A process that is alone: whoever is asked for is gone. */
export const NO_PEERS: Peers = {
  self: '',
  open(_node, _channel, _body, hear) {
    let aborted = false
    queueMicrotask(() => aborted || hear.gone())
    return {
      abort() {
        aborted = true
      },
    }
  },
  broadcast: () => Promise.resolve(),
}
