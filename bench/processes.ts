import { fork, spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Job, Load } from './job.ts'

/** A process under measurement. */
export interface Measured {
  readonly pid: number
  /** Where it listens. */
  readonly origin: string
  stop(): Promise<void>
}

/** Starts a program of this folder, which prints its origin on its first line. */
export async function startProgram(file: string, args: readonly string[]): Promise<Measured> {
  const child = spawn(process.execPath, [new URL(file, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endWithUs(child)
  const origin = await firstLine(child)
  return { pid: child.pid ?? 0, origin, stop: () => end(child) }
}

/** A bench that fails on its way leaves nobody behind. */
export function endWithUs(child: ChildProcess): void {
  const kill = (): void => void child.kill()
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('the program has no output to read')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error('the program ended before it said where it listens')
}

export function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  child.kill('SIGTERM')
  return ended
}

export interface LoadGenerator {
  run(job: Job): Promise<Load>
  stop(): Promise<void>
}

/** The load generator in its own process; jobs, and the tokens in them, go over a pipe and never into its arguments. */
export function startLoad(): LoadGenerator {
  const child = fork(new URL('load.ts', import.meta.url))
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        const gone = () => reject(new Error('the load generator ended'))
        child.once('exit', gone)
        child.once('message', (load) => {
          child.off('exit', gone)
          resolve(load as Load)
        })
        child.send(job)
      }),
    stop: () => end(child),
  }
}

/** Length of a tick of `/proc/<pid>/stat`: USER_HZ is 100 on every Linux that Node supports. */
const TICK_US = 10_000

/** Microseconds of CPU that a process and its threads have used, in user and kernel mode. */
export async function cpuUs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; what follows it does not. Fields 14 and 15 are utime and stime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

/** MiB in memory now. */
export async function rssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}
