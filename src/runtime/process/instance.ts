import type { Log } from '../../lib/log.ts'
import type { Instance, InstanceEnd, InstanceEvents, InstanceSpec } from '../runtime.ts'
import type { Confined } from '../sandbox/sandbox.ts'
import type { LogFeed } from '../server-log-writer.ts'
import { type Cause, describeEnd } from './describe-end.ts'
import { createLineSplitter } from './lines.ts'
import type { MemoryWatch } from './memory-watch.ts'

const MIB = 1 << 20
/** The order and the waits of a stop: input closed, SIGTERM, SIGKILL (MCP, stdio transport, shutdown). */
const AFTER_INPUT_MS = 2000
const AFTER_TERM_MS = 3000
/** A process that left the sandbox's sight may hold a pipe open; its end is not waited for. */
const AFTER_EXIT_MS = 1000
/** Bound of what waits for a server that does not read; at least this, or twice its largest message. */
const MIN_INPUT_BYTES = 16 * MIB
const NEWLINE = Buffer.from('\n')
const STDERR_TAIL = 4096

export interface SuperviseDeps {
  readonly confined: Confined
  readonly spec: InstanceSpec
  readonly events: InstanceEvents
  readonly feed: LogFeed
  readonly watch: MemoryWatch
  readonly log: Log
}

/** One process from its start to its end: its streams, its bounds, its stop. `ended` resolves after the last event. */
export function superviseInstance(deps: SuperviseDeps): Instance & { readonly ended: Promise<void> } {
  const { confined, spec, feed } = deps
  const { child } = confined
  const over = Promise.withResolvers<void>()
  let cause: Cause | undefined
  let isOver = false
  let stopping: Promise<void> | undefined

  const kill = (why: Cause): void => {
    if (isOver) return
    cause ??= why
    void confined.signal('SIGKILL')
  }
  const unwatch = deps.watch.watch(child.pid ?? -1, spec.memoryMiB * MIB, () => kill('memory'))
  const output = readOutput(deps, () => kill('output'))
  const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
    if (isOver) return
    isOver = true
    unwatch()
    output.end()
    const end = describeEnd(spec, {
      cause,
      verdict: confined.verdict(code, signal),
      lastWords: output.lastWords(),
      hidesArgument: confined.hidesArgument,
    })
    noteEnd(deps, end)
    deps.events.ended(end)
    over.resolve()
  }
  child.once('exit', (code, signal) => {
    confined.sweep()
    setTimeout(() => {
      for (const stream of child.stdio) stream?.destroy()
      finish(code, signal)
    }, AFTER_EXIT_MS).unref()
  })
  child.once('close', finish)
  feed.note(`started, process ${child.pid ?? 'unknown'}`)

  const stop = async (): Promise<void> => {
    if (isOver) return
    cause ??= 'stopped'
    child.stdin?.end()
    if (await settles(over.promise, AFTER_INPUT_MS)) return
    await confined.signal('SIGTERM')
    if (await settles(over.promise, AFTER_TERM_MS)) return
    await confined.signal('SIGKILL')
    await over.promise
  }
  return {
    pid: child.pid ?? -1,
    ...inputOf(deps, over.promise, () => kill('input')),
    stop: () => (stopping ??= stop()),
    ended: over.promise,
  }
}

/** Standard output into lines, standard error into the log. */
function readOutput(
  { confined: { child }, spec, events, feed }: SuperviseDeps,
  tooMuch: () => void,
): { end(): void; lastWords(): string } {
  const lines = createLineSplitter(Math.floor(spec.messageMiB * MIB), (line) => events.line(line))
  let lastWords = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    if (!lines.push(chunk)) tooMuch()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    feed.push(chunk)
    lastWords = (lastWords + chunk.toString('latin1')).slice(-STDERR_TAIL)
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('error', () => undefined)
  return {
    end: () => {
      lines.end()
      feed.end()
    },
    lastWords: () => lastWords,
  }
}

function inputOf(
  { confined: { child }, spec }: SuperviseDeps,
  over: Promise<void>,
  tooMuch: () => void,
): Pick<Instance, 'write' | 'drained'> {
  const { stdin } = child
  const bound = Math.max(MIN_INPUT_BYTES, 2 * spec.messageMiB * MIB)
  // A server that is gone makes writing fail; how it ended is told by `ended`.
  stdin?.on('error', () => undefined)
  return {
    write: (message) => {
      if (stdin === null || !stdin.writable) return false
      if (stdin.writableLength + message.length > bound) {
        tooMuch()
        return false
      }
      stdin.cork()
      stdin.write(message)
      const more = stdin.write(NEWLINE)
      stdin.uncork()
      return more
    },
    drained: async () => {
      if (stdin === null || !stdin.writable || !stdin.writableNeedDrain) return
      const drain = new Promise<void>((resolve) => {
        stdin.once('drain', resolve)
        stdin.once('close', resolve)
      })
      await Promise.race([drain, over])
    },
  }
}

function noteEnd({ feed, log, spec }: SuperviseDeps, end: InstanceEnd): void {
  feed.note(`ended: ${end.message}`)
  const about = { server: spec.server, instance: spec.key, why: end.why, code: end.code }
  if (end.why === 'stopped') log.info(about, 'instance stopped')
  else log.warn(about, 'instance ended')
}

async function settles(promise: Promise<void>, withinMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => late.resolve(false), withinMs)
  const done = await Promise.race([promise.then(() => true), late.promise])
  clearTimeout(timer)
  return done
}
