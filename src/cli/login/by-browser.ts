import { hash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { text as readText } from 'node:stream/consumers'
import { callApi, jsonBody } from '../api.ts'
import { askText, isTerminal } from '../ask.ts'
import { printLines, type CliContext } from '../context.ts'
import { CliFailure, unavailable } from '../failure.ts'
import type { Target } from '../target.ts'
import type { SignedIn } from './keep-sign-in.ts'
import { listenForCode, type Loopback } from './loopback.ts'
import { hasBrowser, openBrowser } from './open-browser.ts'

/** As long as the daemon takes a browser to be on its way. */
const PATIENCE_MS = 10 * 60_000

/** What ties the end of an attempt to its start, as PKCE does (RFC 7636): only who began it knows the verifier. */
interface Attempt {
  readonly provider: string
  readonly verifier: string
}

/**
 * Signs in at an identity provider, in a browser: on this machine, which brings a one-time code back by itself, or on
 * another, from where it is pasted.
 *
 * @throws CliFailure when it is refused, or nobody signs in
 */
export async function signInByBrowser(
  target: Target,
  given: { readonly provider: string; readonly noBrowser: boolean },
  context: CliContext,
): Promise<SignedIn> {
  const attempt = { provider: given.provider, verifier: randomBytes(32).toString('base64url') }
  if (given.noBrowser || !hasBrowser(context)) return byPaste(target, attempt, context)
  const loopback = await listenForCode()
  try {
    return await byLoopback(target, { ...attempt, loopback }, context)
  } finally {
    loopback.close()
  }
}

async function byLoopback(
  target: Target,
  given: Attempt & { readonly loopback: Loopback },
  context: CliContext,
): Promise<SignedIn> {
  const { loopback } = given
  const { attempt, url } = await start(target, given, loopback.port)
  printLines(context.stderr, ['sign in with the browser; if none opens, open this address:', url.href])
  openBrowser(url, context)
  const brought = await Promise.race([loopback.brought, sleep(PATIENCE_MS, undefined, { ref: false })])
  if (brought === undefined)
    throw unavailable(
      'nobody has signed in within ten minutes',
      'begin again; where the browser is on another machine: castellan login --no-browser',
    )
  try {
    if (brought.code === undefined) throw unavailable(brought.problem, 'begin again: castellan login')
    const signedIn = await finish(target, { attempt, code: brought.code, verifier: given.verifier })
    brought.answer({ ok: true, text: 'You are signed in. This window can be closed.' })
    return signedIn
  } catch (error) {
    brought.answer({ ok: false, text: 'You are not signed in: the terminal says why.' })
    throw error
  }
}

async function byPaste(target: Target, given: Attempt, context: CliContext): Promise<SignedIn> {
  const { attempt, url } = await start(target, given, undefined)
  printLines(context.stderr, ['open this address in a browser, sign in, and enter the code that it shows:'])
  printLines(context.stdout, [url.href])
  const typed = isTerminal(context) ? await askText('Code', context) : await readText(context.stdin)
  return finish(target, { attempt, code: typed.trim(), verifier: given.verifier })
}

interface Started {
  readonly attempt: string
  readonly url: URL
}

async function start(
  target: Target,
  { provider, verifier }: Attempt,
  loopbackPort: number | undefined,
): Promise<Started> {
  const challenge = hash('sha256', verifier, 'base64url')
  const body = jsonBody({ provider, challenge, loopbackPort })
  const answer = await callApi(target, ['auth', 'oidc', 'start'], { method: 'POST', body })
  const { attempt, url } = JSON.parse(answer) as { readonly attempt: string; readonly url: string }
  // It is handed to a browser: nothing but an address of the web may be.
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    throw new CliFailure({
      code: 'unavailable',
      message: 'the daemon names no address to sign in at',
      hint: 'check the issuer of the identity provider: castellan describe identityprovider NAME',
    })
  return { attempt, url: parsed }
}

const finish = async (
  target: Target,
  given: { readonly attempt: string; readonly code: string; readonly verifier: string },
): Promise<SignedIn> =>
  JSON.parse(
    await callApi(target, ['auth', 'oidc', 'finish'], { method: 'POST', body: jsonBody(given) }),
  ) as SignedIn
