import type { Server } from 'node:http'
import { Fault } from '../lib/fault.ts'
import type { ServeConfig } from './config.ts'

/** @throws Fault `unavailable` when the address cannot be taken */
export function listenOn(
  server: Server,
  { host, port }: Pick<ServeConfig, 'host' | 'port'>,
  option: 'port' | 'peer-listen' = 'port',
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(new Fault('unavailable', { hint: hintFor(cause.code, port, option), cause })),
    )
    server.listen(port, host, resolve)
  })
}

function hintFor(code: string | undefined, port: number, option: 'port' | 'peer-listen'): string {
  if (code === 'EADDRINUSE')
    return `port ${port} is in use; choose another with --${option}, or 0 for any free one`
  if (code === 'EACCES')
    return `port ${port} may not be used by this user; choose one above 1023 with --${option}`
  const address = option === 'port' ? '--host' : '--peer-listen'
  if (code === 'EADDRNOTAVAIL') return `the address of ${address} is not one of this machine`
  return `the address given by ${option === 'port' ? '--host and --port' : address} cannot be listened on`
}

/** Calls in flight may finish; what keeps streaming is cut after this long. */
const DRAIN_MS = 5000
/** How often connections are looked for whose last call has ended meanwhile: clients would keep them open. */
const SWEEP_MS = 25

export function closeFront(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
    server.close(() => {
      clearTimeout(cut)
      clearInterval(sweep)
      resolve()
    })
    server.closeIdleConnections()
  })
}
