import type { InstanceEnd, InstanceSpec } from '../runtime.ts'
import type { Verdict } from '../sandbox/sandbox.ts'

/** What we did to it; undefined where it ended by itself. */
export type Cause = 'stopped' | 'memory' | 'output' | 'input'

export interface Ending {
  readonly cause: Cause | undefined
  readonly verdict: Verdict
  /** The end of its standard error. */
  readonly lastWords: string
  /** Whether the sandbox hides a file that an argument names. */
  readonly hidesArgument: boolean
}

/** How the allocators of Node, Python, Go, Rust, C++ and the JVM say that the limit of the process is reached. */
const OUT_OF_MEMORY =
  /out of memory|OutOfMemory|MemoryError|bad_alloc|cannot allocate memory|allocation (?:of \d+ bytes )?failed/i

/** Status with which shells report a program that they could not find or run. */
const NOT_FOUND = 127
const NOT_RUNNABLE = 126

/** One public sentence: what happened and what to look at. Holds no argument, no variable, no output of the server. */
export function describeEnd(spec: InstanceSpec, ending: Ending): InstanceEnd {
  const { cause, verdict } = ending
  const code = verdict.how === 'code' ? verdict.code : undefined
  if (cause === 'stopped') return { why: 'stopped', message: 'it was stopped', code }
  if (cause === 'memory') return { why: 'memory', message: tooMuchMemory(spec), code }
  if (cause === 'output') return { why: 'output', message: tooMuchOutput(spec), code }
  if (cause === 'input') return { why: 'output', message: notReading(spec), code }
  if (verdict.how === 'never-ran') {
    return { why: 'spawn', message: `the sandbox could not be set up; ${seeLog(spec)}` }
  }
  if (OUT_OF_MEMORY.test(ending.lastWords) && code !== 0) {
    return { why: 'memory', message: tooMuchMemory(spec), code }
  }
  const hint = ending.hidesArgument
    ? '; an argument names a file that the sandbox hides: list it in spec.mounts'
    : ''
  if (verdict.how === 'signal') {
    return { why: 'signal', message: `it was ended by ${verdict.signal}${hint}; ${seeLog(spec)}` }
  }
  return { why: 'exit', message: `${exited(verdict.code)}${hint}; ${seeLog(spec)}`, code: verdict.code }
}

/** For a command that was never started. @param reason a public sentence about a field of the manifest */
export const describeNoStart = (spec: InstanceSpec, reason: string): InstanceEnd => ({
  why: 'spawn',
  message: `it could not be started: ${reason}; ${seeLog(spec)}`,
})

const seeLog = (spec: InstanceSpec): string => `see castellan logs server ${spec.server}`

function exited(code: number): string {
  if (code === NOT_FOUND) return `it ended with status ${code}: a program that it needs was not found`
  if (code === NOT_RUNNABLE) return `it ended with status ${code}: a program that it needs cannot be run`
  return `it ended by itself with status ${code}`
}

const tooMuchMemory = (spec: InstanceSpec): string =>
  `it used more memory than spec.limits.memoryMiB (${spec.memoryMiB}) allows; raise that, or ${seeLog(spec)}`

const tooMuchOutput = (spec: InstanceSpec): string =>
  `it wrote a message longer than spec.limits.messageMiB (${spec.messageMiB}) allows; raise that, or ${seeLog(spec)}`

const notReading = (spec: InstanceSpec): string =>
  `it does not read its standard input, and too much was waiting for it; ${seeLog(spec)}`
