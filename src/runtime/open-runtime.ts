import { mkdir } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeNoStart } from './process/describe-end.ts'
import { superviseInstance } from './process/instance.ts'
import { createMemoryWatch, type MemoryWatch } from './process/memory-watch.ts'
import { processReader } from './process/process-table.ts'
import type { Instance, InstanceEvents, InstanceSpec, Runtime, SandboxKind } from './runtime.ts'
import { probeBubblewrap } from './sandbox/bubblewrap.ts'
import { createBubblewrapSandbox } from './sandbox/bubblewrap-sandbox.ts'
import { holdsNul, searchPath } from './sandbox/environment.ts'
import { readHost } from './sandbox/host.ts'
import { locateCommand } from './sandbox/locate-command.ts'
import { realPath } from './sandbox/paths.ts'
import { createReaper } from './sandbox/reaper.ts'
import { createReaperSandbox } from './sandbox/reaper-sandbox.ts'
import type { Sandbox } from './sandbox/sandbox.ts'
import { createServerLogs, type ServerLogs } from './server-log-writer.ts'

export interface RuntimeOptions {
  /** The Castellan home: exists, 0700. */
  readonly home: string
  /** Other folders that no server may see, whatever its manifest says. */
  readonly kept?: readonly string[]
  /** The home of the user who runs the daemon. */
  readonly userHome: string
  readonly log: Log
  /** Of the daemon; of it a server gets PATH, LANG, proxies without credentials and trust anchors. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform?: NodeJS.Platform
  /** Instead of the best that works here. */
  readonly forceSandbox?: SandboxKind
  /** Applied to what servers write to their logs. */
  readonly redact?: (server: string, text: string) => string
  readonly clock?: Clock
}

/**
 * Chooses the sandbox (bubblewrap where it works, tried once) and returns the runtime. To be called on the main
 * thread: the kernel ties the life of a child to the thread that started it.
 *
 * @throws Error if `forceSandbox` asks for one that does not work here
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { log, platform = process.platform } = options
  await mkdir(options.home, { recursive: true, mode: 0o700 })
  const logs = createServerLogs({
    home: options.home,
    clock: options.clock ?? systemClock,
    log,
    redact: options.redact ?? ((_server, text) => text),
  })
  const processes = processReader(platform)
  const sandbox = await chooseSandbox({ ...options, platform })
  const watch = createMemoryWatch(processes)
  return createRuntime({ sandbox, logs, watch, log })
}

async function chooseSandbox(
  options: RuntimeOptions & { readonly platform: NodeJS.Platform },
): Promise<Sandbox> {
  const { env, log, forceSandbox, platform } = options
  const home = realPath(options.home) ?? options.home
  if (forceSandbox !== 'reaper' && platform === 'linux') {
    const program = locateCommand('bwrap', searchPath(env), '/')
    const { found, reason } = program.ok
      ? await probeBubblewrap(program.value)
      : { found: undefined, reason: 'bubblewrap is not installed' }
    if (found !== undefined) {
      const asRoot = process.getuid?.() === 0
      const host = readHost({
        home,
        kept: options.kept ?? [],
        userHome: options.userHome,
        runtimeFolder: env['XDG_RUNTIME_DIR'],
        asRoot,
      })
      return createBubblewrapSandbox({ bubblewrap: found, host, env, processes: processReader(platform) })
    }
    log.warn({ reason }, 'bubblewrap does not work here: stdio servers can read what this user can read')
  }
  if (forceSandbox === 'bubblewrap') throw new Error('bubblewrap does not work on this machine')
  return createReaperSandbox({
    castellanHome: home,
    env,
    reaper: createReaper(log),
    processes: processReader(platform),
  })
}

interface Parts {
  readonly sandbox: Sandbox
  readonly logs: ServerLogs
  readonly watch: MemoryWatch
  readonly log: Log
}

function createRuntime({ sandbox, logs, watch, log }: Parts): Runtime {
  const running = new Set<Instance>()
  const starting = new Set<Promise<Instance>>()
  let closed = false

  const start = async (spec: InstanceSpec, events: InstanceEvents): Promise<Instance> => {
    const feed = logs.feed(spec.server, spec.key)
    const refuse = (reason: string): Instance => {
      const end = describeNoStart(spec, reason)
      feed.note(end.message)
      log.warn({ server: spec.server, instance: spec.key, why: end.why }, 'instance not started')
      setImmediate(() => events.ended(end))
      return neverStarted
    }
    if (closed) return refuse('the daemon is stopping')
    const problem = unfit(spec)
    if (problem !== undefined) return refuse(problem)
    const confined = await sandbox.confine(spec).catch((cause: unknown) => {
      log.error({ err: cause, server: spec.server }, 'a sandbox could not be prepared')
      return {
        ok: false,
        error: 'its folders or its sandbox could not be prepared; the daemon’s log has the reason',
      } as const
    })
    if (!confined.ok) return refuse(confined.error)
    const { child } = confined.value
    if (child.pid === undefined) {
      child.once('error', (cause) => log.warn({ err: cause, server: spec.server }, 'spawn failed'))
      return refuse('the operating system refused to start the process; the daemon’s log has the reason')
    }
    child.on('error', (cause) => log.warn({ err: cause, server: spec.server }, 'a signal was not delivered'))
    const instance = superviseInstance({ confined: confined.value, spec, events, feed, watch, log })
    running.add(instance)
    void instance.ended.then(() => running.delete(instance))
    return instance
  }

  return {
    sandbox: sandbox.kind,
    start: async (spec, events) => {
      const pending = start(spec, events)
      starting.add(pending)
      return pending.finally(() => starting.delete(pending))
    },
    close: async () => {
      closed = true
      await Promise.allSettled(starting)
      await Promise.all([...running].map(async (instance) => instance.stop()))
      watch.close()
      await sandbox.close()
      await logs.close()
    },
  }
}

const neverStarted: Instance = {
  pid: -1,
  write: () => false,
  drained: async () => undefined,
  stop: async () => undefined,
}

/** NUL ends a string for the kernel and separates the options of the sandbox. */
function unfit(spec: InstanceSpec): string | undefined {
  const texts = [spec.command, ...spec.args, spec.cwd ?? '', ...spec.mounts.map(({ path }) => path)]
  if (texts.some((text) => text.includes('\0')) || holdsNul(spec.env)) {
    return 'a NUL character stands in its command, arguments, environment or paths'
  }
  return spec.cwd !== undefined && !isAbsolute(spec.cwd) ? 'spec.cwd is not an absolute path' : undefined
}
