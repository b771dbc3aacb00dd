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

/**
 * Asks on a terminal for something that may be seen.
 *
 * @param signal takes the question back; then this throws, too
 */
export async function askText(
  message: string,
  { stdin, stderr }: Terminal,
  signal?: AbortSignal,
): Promise<string> {
  const { isCancel, text } = await import('@clack/prompts')
  const about = { message, input: stdin, output: stderr }
  const answer = await text(signal === undefined ? about : Object.assign(about, { signal }))
  return isCancel(answer) ? gaveUp() : answer
}

/** Asks on a terminal for a yes; nothing but a yes is one. */
export async function askYes(message: string, { stdin, stderr }: Terminal): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message, initialValue: false, input: stdin, output: stderr })
  return isCancel(answer) ? gaveUp() : answer
}

/** Asks on a terminal which of several it is. @returns its place in the list */
export async function chooseOne(
  message: string,
  choices: readonly string[],
  { stdin, stderr }: Terminal,
): Promise<number> {
  const { isCancel, select } = await import('@clack/prompts')
  const options = choices.map((label, value) => ({ label, value }))
  const answer = await select({ message, options, input: stdin, output: stderr })
  return isCancel(answer) ? gaveUp() : answer
}

function gaveUp(): never {
  throw unavailable('nothing was done', 'run it again to enter what is asked for')
}
