import { Socket } from 'node:net'

/** The sockets that a driver connects, kept so that they can be closed although the other side says nothing any more. */
export interface OwnSockets {
  /** Makes the next one, not connected yet. */
  readonly make: () => Socket
  /** Waits until the driver has ended in good order, for a moment; then closes what is still open. */
  closeAfter(ended: Promise<unknown>): Promise<void>
}

const PATIENCE_MS = 2000

/** An open socket keeps its process alive, for a quarter of an hour if the network swallows what is sent on it. */
export function createOwnSockets(): OwnSockets {
  const open = new Set<Socket>()
  return {
    make() {
      const socket = new Socket()
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      return socket
    },
    async closeAfter(ended) {
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, PATIENCE_MS)
      await Promise.race([ended.catch(() => undefined), late.promise])
      clearTimeout(timer)
      for (const socket of open) socket.destroy()
    },
  }
}
