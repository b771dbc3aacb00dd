import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
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

/** Calls in flight may finish; what keeps streaming is cut after this long, or after the drain period if that is longer. */
const FINISH_MS = 5000
/** How often connections are looked for whose last call has ended meanwhile: clients would keep them open. */
const SWEEP_MS = 25
const PARKED_MS = 100
/** A moment at which nothing is awaited can be short: others call meanwhile. */
const AWAITED_MS = 5

/** What the front serves, as far as its end is concerned. */
export interface Served {
  /** Ends the streams that would otherwise stay open for as long as their clients do. */
  drain(): void
  openThings(): { readonly parkedCalls: number; readonly openQuestions: number }
}

export interface Ending {
  readonly drainSeconds: number
  readonly log: Log
  /** There are no other processes that could bring the answers of clients here once it does not listen any more. */
  readonly alone?: boolean
}

/**
 * Ends a listener that already says that it is not ready: takes everything until load balancers have noticed, then
 * nothing more, while calls in flight may finish. Calls that wait for an answer of their client may too, for as long as
 * the drain period once more: where other daemons are there to bring it, after the end of the listener, else before.
 */
export async function endFront(
  server: Server,
  served: Served,
  { drainSeconds, log, alone = false }: Ending,
): Promise<void> {
  const drainMs = drainSeconds * 1000
  if (drainMs > 0) {
    log.info({ drainSeconds }, 'not ready any more; everything is still taken until the drain period is over')
    await sleep(drainMs)
  }
  const whileThey = async (wait: () => boolean, stepMs: number): Promise<void> => {
    for (let waitedMs = 0; waitedMs < drainMs && wait(); waitedMs += stepMs) await sleep(stepMs)
  }
  const awaited = (): number => served.openThings().parkedCalls + served.openThings().openQuestions
  if (alone) await whileThey(() => awaited() > 0, AWAITED_MS)
  const finishMs = Math.max(FINISH_MS, drainMs)
  const closed = closeFront(server, finishMs)
  served.drain()
  await closed
  if (!alone) await whileThey(() => served.openThings().parkedCalls > 0, PARKED_MS)
}

function closeFront(server: Server, finishMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), finishMs)
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
    server.close(() => {
      clearTimeout(cut)
      clearInterval(sweep)
      resolve()
    })
    server.closeIdleConnections()
  })
}
