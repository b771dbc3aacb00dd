import { setTimeout as sleep } from 'node:timers/promises'

/** The memory of another process, as its V8 knows it. */
export interface HeapMeter {
  /** Bytes in use on the heap and in buffers beside it, after everything that can go has gone. */
  bytes(): Promise<number>
  close(): void
}

/** The environment that makes a Node open its inspector on this port when it is told to (SIGUSR1). */
export const inspectable = (port: number): Record<string, string> => ({
  NODE_OPTIONS: `--inspect-port=127.0.0.1:${port}`,
})

/** Tells the process to open its inspector, and connects to it. */
export async function openHeapMeter(pid: number, port: number): Promise<HeapMeter> {
  process.kill(pid, 'SIGUSR1')
  const socket = new WebSocket(await debuggerUrl(port))
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('the inspector of the process refused us')))
  })
  const waiting = new Map<number, (result: unknown) => void>()
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown }
    if (id === undefined) return
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  let calls = 0
  const call = (method: string): Promise<unknown> =>
    new Promise((resolve) => {
      calls += 1
      waiting.set(calls, resolve)
      socket.send(JSON.stringify({ id: calls, method }))
    })
  return {
    async bytes() {
      // What only a finaliser lets go of goes in the round after.
      for (let round = 0; round < 3; round += 1) {
        await call('HeapProfiler.collectGarbage')
        await sleep(200)
      }
      const usage = (await call('Runtime.getHeapUsage')) as { usedSize: number; backingStorageSize?: number }
      return usage.usedSize + (usage.backingStorageSize ?? 0)
    },
    close: () => socket.close(),
  }
}

async function debuggerUrl(port: number): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
        webSocketDebuggerUrl: string
      }[]
      const url = targets[0]?.webSocketDebuggerUrl
      if (url !== undefined) return url
    } catch {
      // It opens a moment after the signal.
    }
    await sleep(50)
  }
  throw new Error('the process has not opened its inspector')
}
