import { NO_PEERS } from '../../gateway/peers.ts'
import type { PeerOptions } from './peer-options.ts'
import type { PeerNetwork, PeerNetworkDeps } from './peer-network.ts'

/** @param options undefined: nobody else works on this database */
export async function openPeers(
  options: PeerOptions | undefined,
  deps: Omit<PeerNetworkDeps, keyof PeerOptions>,
): Promise<PeerNetwork> {
  if (options === undefined) {
    const nothing = (): Promise<void> => Promise.resolve()
    return {
      peers: { ...NO_PEERS, self: deps.self },
      goneOf: (nodes) => Promise.resolve(nodes),
      daemons: () => [],
      forgetGone: nothing,
      start: nothing,
      close: nothing,
    }
  }
  // Loaded on use: the embedded default starts without it.
  const { createPeerNetwork } = await import('./peer-network.ts')
  return createPeerNetwork({ ...deps, ...options })
}
