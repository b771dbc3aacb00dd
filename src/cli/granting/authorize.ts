import { isLoopback } from '../../lib/loopback.ts'
import { callApi, jsonBody } from '../api.ts'
import { askText, isTerminal } from '../ask.ts'
import { printLines, type CliContext } from '../context.ts'
import { CliFailure, unavailable } from '../failure.ts'
import { hasBrowser, openBrowser } from '../login/open-browser.ts'
import type { Target } from '../target.ts'
import { plain } from './plain.ts'

/** An authorization that the daemon has begun. */
export interface Started {
  readonly name: string
  readonly attempt: string
  /** Absent with the device flow. */
  readonly authorizeUrl?: string
  readonly device?: {
    readonly userCode: string
    readonly verificationUrl: string
    readonly verificationUrlComplete?: string
    readonly expiresInSeconds: number
  }
  /** Absent with the device flow. */
  readonly redirectUri?: string
  readonly issuer: string
  readonly scopes: readonly string[]
  /** Where each part of the configuration came from: `flag`, `file`, `discovery` … by field. */
  readonly from?: Readonly<Record<string, string>>
  readonly usedByServer: boolean
}

interface Place {
  readonly context: CliContext
  readonly target: Target
  readonly noBrowser: boolean
}

/**
 * Brings the user to the authorization server: with a browser that is opened here, else with an address that they open
 * somewhere. Where the browser cannot come back to the daemon by itself, what it ended at is taken by hand.
 *
 * @throws CliFailure when it is not authorized
 */
export async function authorize(started: Started, at: Place): Promise<void> {
  const { context, target } = at
  const address = showAddress(started, context)
  const isOpened = !at.noBrowser && hasBrowser(context)
  if (isOpened) openBrowser(address, context)
  const comesBack = started.device !== undefined || (isOpened && canComeBack(started, target))
  if (comesBack) return untilEnd(target, started.attempt)
  printLines(context.stderr, wayBack(started, isOpened, context))
  if (!isTerminal(context)) return untilEnd(target, started.attempt)
  const over = new AbortController()
  const end = untilEnd(target, started.attempt, over.signal)
  const pasted = takePasted(started.attempt, { context, target }, over.signal)
  try {
    // What was pasted is judged by the daemon, as what a browser brings is.
    await Promise.race([end, pasted.then(() => end)])
  } finally {
    over.abort()
    await pasted.catch(() => undefined)
  }
}

/** The address alone on standard output, so that it can be captured. */
export function showAddress({ authorizeUrl, device }: Started, { stdout, stderr }: CliContext): URL {
  const text = device?.verificationUrlComplete ?? device?.verificationUrl ?? authorizeUrl ?? ''
  // It is handed to a browser: nothing but an address of the web may be.
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw unavailable(
      'the daemon names no address to authorize it at',
      'castellan version on both sides; they may differ',
    )
  printLines(stderr, [
    device === undefined
      ? 'open this address in a browser, and authorize it there:'
      : `open this address in any browser, and enter the code ${plain(device.userCode)}:`,
  ])
  printLines(stdout, [url.href])
  return url
}

/** A redirect to loopback reaches the daemon from its own machine only. */
const canComeBack = ({ redirectUri }: Started, { url }: Target): boolean =>
  redirectUri !== undefined &&
  URL.canParse(redirectUri) &&
  (!isLoopback(new URL(redirectUri).hostname) || isLoopback(url.hostname))

function wayBack(
  { redirectUri = 'an address', from = {} }: Started,
  isOpened: boolean,
  context: CliContext,
): string[] {
  const why = isOpened
    ? 'the daemon is on another machine, so the browser cannot bring the answer'
    : 'no browser was opened here'
  const paste = `; a browser elsewhere ends at ${redirectUri}, which does not load there: paste the address that it shows`
  return [
    isTerminal(context) ? why + paste : why,
    ...(from['deviceUrl'] === undefined
      ? []
      : ['or run it again with --device, for a code that is entered in any browser']),
  ]
}

/** Until the signal ends it: one answer after the other, should they be refused. */
async function takePasted(
  attempt: string,
  { context, target }: Omit<Place, 'noBrowser'>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const answer = (await askText('Address that the browser ended at', context, signal)).trim()
    try {
      await callApi(target, ['grants', 'attempts', attempt, 'paste'], {
        method: 'POST',
        body: jsonBody({ answer }),
      })
      return
    } catch (error) {
      if (!(error instanceof CliFailure) || error.body.code !== 'invalid') throw error
      const { problems = [], hint } = error.body
      printLines(context.stderr, [
        ...(problems.length > 0 ? problems : [error.message]),
        ...(hint === undefined ? [] : [hint]),
      ])
    }
  }
}

/** The daemon forgets an attempt after ten minutes, so this ends. */
async function untilEnd(target: Target, attempt: string, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const asked = { query: { waitSeconds: 20 }, signal }
    const answer = await callApi(target, ['grants', 'attempts', attempt], asked)
    const { state, problem } = JSON.parse(answer) as { readonly state: string; readonly problem?: string }
    if (state === 'done') return
    if (state === 'failed')
      throw unavailable(problem ?? 'it was not authorized', 'start it again with the same command')
    if (state !== 'waiting')
      throw unavailable(
        'the daemon answers in a way that is not known here',
        'castellan version on both sides; they may differ',
      )
  }
}
