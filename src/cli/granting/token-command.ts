import { execFile } from 'node:child_process'
import { SecretValue } from '../../lib/secret-value.ts'
import type { ProviderSource, ReaderRequest, SourceAnswer } from './provider.ts'

/**
 * What may be run here. A daemon describes where its providers are found, and it may be another's: it does not choose
 * what runs on this machine.
 */
const KNOWN: ReadonlySet<string> = new Set(['gh auth token'])

const PATIENCE_MS = 20_000
const MAX_BYTES = 64 * 1024

/** A token that another program prints: its first line. */
export async function fromCommand(
  { argv, field }: Extract<ProviderSource, { readonly kind: 'command' }>,
  { context }: ReaderRequest,
): Promise<SourceAnswer> {
  const line = argv.join(' ')
  if (!KNOWN.has(line))
    return { found: false, says: `${argv[0] ?? 'a command'}: this version of castellan does not run it` }
  const { printed, problem } = await run(argv, context.env)
  const [value = ''] = printed.trim().split(/\r?\n/)
  if (problem !== undefined || value === '')
    return { found: false, says: `${line}: ${problem ?? 'printed nothing'}` }
  return { found: true, says: line, values: new Map([[field, new SecretValue(value)]]) }
}

interface Printed {
  readonly printed: string
  /** Why it is worth nothing. What the program itself said may hold anything, and is not repeated. */
  readonly problem: string | undefined
}

/** Without a shell; its input is closed, so that it cannot ask. */
function run(argv: readonly string[], env: ReaderRequest['context']['env']): Promise<Printed> {
  const [file = '', ...words] = argv
  const options = {
    env: { ...env },
    timeout: PATIENCE_MS,
    maxBuffer: MAX_BYTES,
    killSignal: 'SIGKILL',
  } as const
  return new Promise((resolve) => {
    const child = execFile(file, words, options, (error, printed) =>
      resolve({ printed, problem: error === null ? undefined : problemOf(error) }),
    )
    child.stdin?.end()
  })
}

function problemOf(error: Error & { readonly code?: unknown; readonly killed?: boolean }): string {
  if (error.code === 'ENOENT') return 'not installed'
  if (error.killed === true) return 'does not end'
  return typeof error.code === 'number' ? `ended with status ${error.code}` : 'cannot be run'
}
