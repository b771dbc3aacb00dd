/**
 * Room above the bound of the instance: a process maps more than it holds (an idle Node 24 counts 570 MiB of data, for
 * 50 MiB resident). The watch over resident memory decides; this limit stops what outgrows it between two looks.
 */
const HEADROOM_MIB = 2048

/** In a shell of its own first: raising a limit above one that already holds fails, and then that one stands. */
const LIMIT = (kind: string, value: number): string =>
  `(ulimit -${kind} ${value}) 2>/dev/null && ulimit -${kind} ${value}`

/** Shell lines: no core files (they would hold secrets), a hard bound on the data of each process. */
const limitsScript = (memoryMiB: number): string =>
  [LIMIT('c', 0), LIMIT('d', (memoryMiB + HEADROOM_MIB) * 1024)].join('\n')

/** The program under its limits, as arguments of a shell: none of them is parsed by it. */
export const limitedArgv = (memoryMiB: number, program: string, args: readonly string[]): string[] => [
  '/bin/sh',
  '-c',
  `${limitsScript(memoryMiB)}\nexec "$@"`,
  'sh',
  program,
  ...args,
]
