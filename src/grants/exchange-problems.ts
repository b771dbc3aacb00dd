import type { TokenFailure } from '../oauth/client/token-answer.ts'
import { readGrantId } from './grant-id.ts'
import { hopeless, isPerson, problemOf } from './mend.ts'
import type { GrantProblem, Purpose, Wanted } from './wanted.ts'

/* Why nothing is sent for whoever calls, and what they, or an administrator, can do about it. */

const orConnect = ({ server }: Purpose): string =>
  `connect an account of yours: castellan grant connect ${server}`

export const noSignIn = (wanted: Wanted, purpose: Purpose): GrantProblem =>
  isPerson(wanted)
    ? problemOf(
        wanted,
        `there is no sign-in of yours at an identity provider that could be shown to it; sign in there (castellan login --provider NAME), or ${orConnect(purpose)}`,
      )
    : hopeless('it is reached with the sign-in of whoever calls, and only people sign in')

export const signInOver = (wanted: Wanted, purpose: Purpose): GrantProblem =>
  problemOf(
    wanted,
    `your sign-in has run out at the identity provider; sign in again (castellan login), or ${orConnect(purpose)}`,
  )

export const notPrepared = (wanted: Wanted, purpose: Purpose): GrantProblem =>
  problemOf(
    wanted,
    `no authorization server is known that would give anything for your sign-in; ${orConnect(purpose)}; or an administrator prepares it: castellan grant oauth ${readGrantId(wanted.name).qualifier ?? ''} --server ${purpose.server} --client-id ID --exchange`,
  )

/** @returns what is said, and whether it is worth trying again soon */
export const refusedExchange = (
  wanted: Wanted,
  purpose: Purpose,
  { message, final }: TokenFailure,
): { readonly problem: GrantProblem; readonly final: boolean } => ({
  problem: final
    ? problemOf(wanted, `your sign-in was shown, and ${message}; ${orConnect(purpose)}`)
    : hopeless(`your sign-in was shown: ${message}`),
  final,
})

export const exchangedInVain = ({ name }: Wanted): string =>
  `the server refuses what is given for your sign-in (${name}); whoever runs the server can say why`
