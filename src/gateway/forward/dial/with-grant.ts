import type { Dispatcher } from 'undici'
import type { SecretValue } from '../../../lib/secret-value.ts'
import { createRedactor } from '../../../secrets/redact.ts'
import type { GrantProblem, GrantUse } from '../../inject/grants.ts'
import type { FirstSends } from './first-sends.ts'
import { GrantRefused } from './grant-refused.ts'

type Headers = Readonly<Record<string, string>>

/**
 * The last thing that happens to a request before it leaves: it gets the token of the Server's grant. One that the
 * server refuses for its token was not processed (RFC 6750, 3.1), so it is sent once more when there is another token.
 *
 * @param first of the connection that this is for
 */
export const withGrant =
  (use: GrantUse, first: FirstSends): Dispatcher.DispatcherComposeInterceptor =>
  (dispatch) =>
  (options, handler) => {
    const token = use.source.current(use.grant, use.purpose.origin)
    const request = new GrantedRequest({ use, first, dispatch, options, handler })
    if (token !== undefined && first.has(token)) return request.send(token)
    void request.sendWhenReady()
    return true
  }

interface About {
  readonly use: GrantUse
  readonly first: FirstSends
  readonly dispatch: Dispatcher['dispatch']
  readonly options: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
}

/** More than this of a refusal's body is not read: the connection is given up instead. */
const MAX_REFUSAL_BYTES = 64 * 1024

class GrantedRequest implements Dispatcher.DispatchHandler {
  readonly #about: About
  #token: SecretValue | undefined
  #again = false
  /** The answer is a refusal that concerns the grant; nothing of it is passed on. */
  #refusal: { readonly status: number; readonly challenge: string | undefined } | undefined
  #refusalBytes = 0

  constructor(about: About) {
    this.#about = about
  }

  send(token: SecretValue): boolean {
    const { use, dispatch, options } = this.#about
    this.#token = token
    const sent = use.place({ path: options.path, headers: options.headers as Headers }, token)
    return dispatch({ ...options, ...sent }, this)
  }

  async sendWhenReady(): Promise<void> {
    const { use, first } = this.#about
    try {
      const token = await use.source.ready(use.grant, use.purpose)
      if (!token.ok) {
        first.withheld(token.error)
        this.#fail(new GrantRefused(token.error, undefined))
      } else if (await first.say(token.value)) this.send(token.value)
      else this.#fail(new GrantRefused(UNRECORDED, undefined))
    } catch (thrown) {
      this.#fail(thrown as Error)
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#about.handler.onRequestStart?.(controller, context)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
    statusMessage?: string,
  ): void {
    const challenge = headers['www-authenticate']
    if (statusCode === 401 || (statusCode === 403 && challenge !== undefined))
      this.#refusal = {
        status: statusCode,
        challenge: this.#withoutOurs(Array.isArray(challenge) ? challenge.join(', ') : challenge),
      }
    else this.#about.handler.onResponseStart?.(controller, statusCode, headers, statusMessage)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#refusal === undefined) return this.#about.handler.onResponseData?.(controller, chunk)
    this.#refusalBytes += chunk.length
    if (this.#refusalBytes > MAX_REFUSAL_BYTES) controller.abort(new Error('a refusal that goes on and on'))
  }

  onResponseEnd(
    controller: Dispatcher.DispatchController,
    trailers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#refusal === undefined) this.#about.handler.onResponseEnd?.(controller, trailers)
    else void this.#refused()
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#refusal === undefined) this.#about.handler.onResponseError?.(controller, error)
    else void this.#refused()
  }

  /** What it demands is kept in the open: a challenge that repeats what was sent demands nothing. */
  #withoutOurs(challenge: string | undefined): string | undefined {
    if (challenge === undefined || this.#token === undefined) return challenge
    return createRedactor([this.#token])(challenge) === challenge ? challenge : undefined
  }

  async #refused(): Promise<void> {
    const { use } = this.#about
    const { status, challenge } = this.#refusal ?? { status: 401, challenge: undefined }
    this.#refusal = undefined
    try {
      const found = await use.source.refused(use.grant, { used: this.#token, status, challenge })
      if (!found.ok || this.#again) {
        const why = found.ok ? undefined : found.error
        return this.#fail(new GrantRefused(why ?? refusedWith(status), status))
      }
      this.#again = true
      await this.sendWhenReady()
    } catch (thrown) {
      this.#fail(thrown as Error)
    }
  }

  /** Nothing is under way any more that a controller could stop. */
  #fail(error: Error): void {
    this.#about.handler.onResponseError?.(NO_CONTROLLER, error)
  }
}

const UNRECORDED: GrantProblem = {
  message: 'the record of calls cannot be written (castellan status says why); its grant was not sent',
  connect: false,
}

const refusedWith = (status: number): GrantProblem => ({
  message: `it refuses our grant (HTTP status ${status})`,
  connect: false,
})

const NO_CONTROLLER: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
}
