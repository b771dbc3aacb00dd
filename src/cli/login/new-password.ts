import { text as readText } from 'node:stream/consumers'
import { askHidden, isTerminal } from '../ask.ts'
import type { CliContext } from '../context.ts'
import { usage } from '../failure.ts'

/** A password that somebody sets, twice on a terminal; otherwise the lines of standard input. */
export interface TypedPasswords {
  readonly current: string | undefined
  readonly password: string
}

/**
 * @param wantsCurrent whether the present one is asked for first
 * @throws CliFailure when nothing was entered, or the two are not alike
 */
export async function readNewPassword(context: CliContext, wantsCurrent: boolean): Promise<TypedPasswords> {
  if (!isTerminal(context)) return fromLines((await readText(context.stdin)).split(/\r?\n/), wantsCurrent)
  const current = wantsCurrent ? await askHidden('Present password', context) : undefined
  const password = await askHidden('New password', context)
  if ((await askHidden('The same again', context)) !== password)
    throw usage('the two are not alike', 'run it again; nothing was changed')
  return checked({ current, password })
}

function fromLines(lines: readonly string[], wantsCurrent: boolean): TypedPasswords {
  const [first, second] = lines
  return checked(
    wantsCurrent ? { current: first, password: second ?? '' } : { current: undefined, password: first ?? '' },
  )
}

function checked(typed: TypedPasswords): TypedPasswords {
  if (typed.password === '' || typed.current === '')
    throw usage(
      'the password is empty',
      'type it, or give it on standard input: one line, or the present and the new one on two for your own',
    )
  return typed
}
