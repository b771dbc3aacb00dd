import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { BIN, makeHome, removeHome, startDaemon } from '../test/fixtures/daemon.ts'
import { median } from './measure.ts'
import { rssMiB } from './processes.ts'

const DECLARED = 100
const STARTS = 5
const CLI_RUNS = 10

/**
 * How long a daemon with 100 declared servers takes to be ready (compile cache warm), what it holds when idle, and
 * how long the command line takes compared with a Node that does nothing. Milliseconds and MiB.
 */
export async function measureStart(): Promise<Record<string, number>> {
  const home = await makeHome()
  const first = await startDaemon(home)
  const servers = Array.from({ length: DECLARED }, (_, i) => ({
    kind: 'Server',
    metadata: { name: `declared-${i}` },
    spec: { transport: 'http', url: `http://127.0.0.1:9/${i}/mcp` },
  }))
  await first.apply(servers)
  await first.stop()
  const readyMs: number[] = []
  const idleMiB: number[] = []
  for (let i = 0; i < STARTS; i += 1) {
    const daemon = await startDaemon(home)
    readyMs.push(daemon.readyMs)
    await sleep(1000)
    idleMiB.push(await rssMiB(daemon.pid))
    if (i < STARTS - 1) await daemon.stop()
    else {
      const cli = measureCli(home)
      await daemon.stop()
      await removeHome(home)
      return { 'ready ms (100 servers)': median(readyMs), 'idle RSS MiB': median(idleMiB), ...cli }
    }
  }
  throw new Error('there must be at least one start')
}

function measureCli(home: string): Record<string, number> {
  const env = { ...process.env, CASTELLAN_HOME: home }
  const time = (args: readonly string[]) => {
    const began = performance.now()
    const { status } = spawnSync(process.execPath, args, { env, stdio: 'ignore' })
    if (status !== 0) throw new Error(`a command of the bench ended with ${status}`)
    return performance.now() - began
  }
  const bare: number[] = []
  const get: number[] = []
  time([BIN, 'get', 'servers'])
  for (let i = 0; i < CLI_RUNS; i += 1) {
    bare.push(time(['-e', '0']))
    get.push(time([BIN, 'get', 'servers']))
  }
  const [bareMs, getMs] = [median(bare), median(get)]
  return { 'node -e 0 ms': bareMs, 'castellan get ms': getMs, 'castellan get × node': getMs / bareMs }
}
