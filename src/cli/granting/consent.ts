import { isLoopback } from '../../lib/loopback.ts'
import { askYes, isTerminal } from '../ask.ts'
import type { CliContext } from '../context.ts'
import { unavailable, usage } from '../failure.ts'
import type { Target } from '../target.ts'

/**
 * A daemon says where its providers are found, so that of somebody else could name anything that lies around here. On
 * this machine it is the same user's; elsewhere nothing that was found goes there without a yes.
 *
 * @param what where it was found, for people
 * @throws CliFailure where nobody says yes
 */
export async function consent(
  what: string,
  yes: boolean,
  { context, target }: { readonly context: CliContext; readonly target: Target },
): Promise<void> {
  if (yes || isLoopback(target.url.hostname)) return
  if (!isTerminal(context))
    throw usage(
      'the daemon is on another machine, and there is no terminal to ask on',
      'add --yes to send what was found',
    )
  if (await askYes(`Send what is in ${what} to ${target.url.host}?`, context)) return
  throw unavailable('nothing was sent', 'type it by hand: add --from prompt')
}
