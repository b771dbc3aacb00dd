import type { SecretValue } from '../lib/secret-value.ts'

/** What to run. All values are final: nothing is looked up any more. */
export interface InstanceSpec {
  /** Name of the Server: for its log file and its private home. */
  readonly server: string
  /**
   * Tells instances apart in logs: `<server>` or `<server>-<digest of who shares it>`. A safe file name. Two by one key
   * run side by side while an older one finishes its calls.
   */
  readonly key: string
  readonly command: string
  readonly args: readonly string[]
  /** Added to the minimal environment. */
  readonly env: Readonly<Record<string, string | SecretValue>>
  readonly cwd?: string | undefined
  readonly mounts: readonly { readonly path: string; readonly access: 'read' | 'write' }[]
  readonly memoryMiB: number
  /** Bound of one line on standard output. */
  readonly messageMiB: number
}

export interface InstanceEvents {
  /** One line of standard output without its newline, at most `messageMiB` long; empty lines are left out. */
  line(line: Buffer): void
  /** Called once, after the last line. */
  ended(end: InstanceEnd): void
}

export interface InstanceEnd {
  /** `stopped`: we asked for it. `memory`, `output`: it passed a bound and was killed. `spawn`: it never ran. */
  readonly why: 'exit' | 'signal' | 'stopped' | 'memory' | 'output' | 'spawn'
  /** One public sentence that says what happened and what to look at; no arguments, no environment. */
  readonly message: string
  readonly code?: number | undefined
}

/** One running copy of a stdio server. */
export interface Instance {
  readonly pid: number
  /** Writes one message (without newline) to standard input. False: full; wait for `drained()` before the next. */
  write(message: Buffer): boolean
  drained(): Promise<void>
  /** Closes standard input, waits, SIGTERM, waits, SIGKILL (the order the MCP specification gives). Idempotent. */
  stop(): Promise<void>
}

export type SandboxKind = 'bubblewrap' | 'reaper'

/** Starts processes that cannot read the home, are bounded, and do not outlive the daemon. */
export interface Runtime {
  readonly sandbox: SandboxKind
  /** Resolves once the process exists; a command that cannot be started is an `ended({why: 'spawn'})`, not a rejection. */
  start(spec: InstanceSpec, events: InstanceEvents): Promise<Instance>
  /** Stops every instance. */
  close(): Promise<void>
}
