import type { ChildProcess } from 'node:child_process'
import type { Result } from '../../lib/result.ts'
import type { InstanceSpec, SandboxKind } from '../runtime.ts'

/** A process that has been started in a sandbox. Standard input, output and error are pipes. */
export interface Confined {
  readonly child: ChildProcess
  /** To the server and all its processes. */
  signal(name: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** How the server itself ended, once the child has closed. */
  verdict(code: number | null, signal: NodeJS.Signals | null): Verdict
  /** Once the child has exited: whatever it left behind goes too. */
  sweep(): void
  /** Whether an argument names a file that the sandbox hides: the likely reason of an early end. */
  readonly hidesArgument: boolean
}

export type Verdict =
  | { readonly how: 'code'; readonly code: number }
  | { readonly how: 'signal'; readonly signal: string }
  | { readonly how: 'never-ran' }

/** One way of keeping processes in. */
export interface Sandbox {
  readonly kind: SandboxKind
  /** @returns a public sentence where the specification cannot be started */
  confine(spec: InstanceSpec): Promise<Result<Confined, string>>
  close(): Promise<void>
}
