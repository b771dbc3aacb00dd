import { text as readText } from 'node:stream/consumers'
import { callApi, jsonBody } from '../api.ts'
import { askHidden, askText, isTerminal } from '../ask.ts'
import type { CliContext } from '../context.ts'
import { usage } from '../failure.ts'
import type { Target } from '../target.ts'
import type { SignedIn } from './keep-sign-in.ts'

/** @throws CliFailure when it is refused, or nothing was entered */
export async function signInByPassword(
  target: Target,
  given: string | undefined,
  context: CliContext,
): Promise<SignedIn> {
  const user = given ?? (await askUser(context))
  const password = isTerminal(context)
    ? await askHidden(`Password of ${user}`, context)
    : (await readText(context.stdin)).replace(/\r?\n$/, '')
  if (password === '') throw usage('the password is empty', 'type it, or give it on standard input')
  const body = jsonBody({ user, password })
  return JSON.parse(await callApi(target, ['auth', 'login'], { method: 'POST', body })) as SignedIn
}

async function askUser(context: CliContext): Promise<string> {
  if (!isTerminal(context)) throw usage('it is not known who signs in', 'add: --user NAME')
  const user = await askText('User', context)
  if (user === '') throw usage('it is not known who signs in', 'add: --user NAME')
  return user
}
