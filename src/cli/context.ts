import type { Readable, Writable } from 'node:stream'

/**
 * All that a command may know of the process it runs in. `main/cli.ts` fills it from `process`, tests from memory;
 * no file below `cli/` reads `process` itself.
 */
export interface CliContext {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** The user's own home, below which the default home of Castellan lies. */
  readonly userHome: string
  readonly version: () => BuildInfo
  /** For a command that ends in order when it is told to: aborted by the first SIGINT or SIGTERM after it has asked. */
  readonly stopped?: () => AbortSignal
}

export interface BuildInfo {
  readonly version: string
  /** Abbreviated Git commit; absent where neither the checkout nor the package says. */
  readonly commit?: string | undefined
  /** RFC 3339, UTC; absent in a checkout, which is not built. */
  readonly buildDate?: string | undefined
  readonly node: string
}

/** Writes lines, ending each with a newline. */
export const printLines = (to: Writable, lines: readonly string[]): void => {
  if (lines.length > 0) to.write(`${lines.join('\n')}\n`)
}

/** Writes text that is ready to print, ending it with one newline. */
export const printText = (to: Writable, text: string): void => {
  if (text !== '') to.write(text.endsWith('\n') ? text : `${text}\n`)
}
