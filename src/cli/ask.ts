import type { CliContext } from './context.ts'
import { unavailable } from './failure.ts'

type Terminal = Pick<CliContext, 'stdin' | 'stderr'>

export const isTerminal = ({ stdin }: Pick<CliContext, 'stdin'>): boolean => stdin.isTTY === true

/**
 * Asks on a terminal without showing what is typed.
 *
 * @throws CliFailure when the user gives up, with Ctrl-C or Escape
 */
export async function askHidden(message: string, { stdin, stderr }: Terminal): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts')
  const answer = await password({ message, input: stdin, output: stderr })
  return isCancel(answer) ? gaveUp() : answer
}

/** Asks on a terminal for something that may be seen. */
export async function askText(message: string, { stdin, stderr }: Terminal): Promise<string> {
  const { isCancel, text } = await import('@clack/prompts')
  const answer = await text({ message, input: stdin, output: stderr })
  return isCancel(answer) ? gaveUp() : answer
}

function gaveUp(): never {
  throw unavailable('nothing was done', 'run it again to enter what is asked for')
}
