import type { Daemon } from '../fixtures/daemon.ts'
import type { Context } from './client-behaviour.ts'

/** The address under which the suite expects a client to publish its metadata. */
const DOCUMENT = 'https://conformance-test.local/client-metadata.json'

/** More than this and the loop is endless, whatever the gateway says. */
const MAX_ATTEMPTS = 5

/**
 * Does what a scenario wants done; whenever the server says which command would mend its grant, does as a user would who
 * runs that command and follows the address in a browser.
 */
export async function authorizing(
  daemon: Daemon,
  server: string,
  context: Context,
  attempt: () => Promise<void>,
): Promise<void> {
  for (let count = 0; ; count++) {
    const problem = await attempt().then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    )
    if (problem === undefined) return
    const command = `castellan grant oauth ${server} --server ${server}`
    const said = `${problem.message} ${await statusOf(daemon, server)}`
    if (!said.includes(command) || count >= MAX_ATTEMPTS) throw problem
    await authorize(daemon, server, context)
  }
}

async function statusOf(daemon: Daemon, server: string): Promise<string> {
  const { status } = (await daemon.call('GET', `/api/v1/servers/${server}`)) as {
    readonly status: { readonly message?: string }
  }
  return status.message ?? ''
}

async function authorize(daemon: Daemon, server: string, context: Context): Promise<void> {
  const { authorizeUrl } = (await daemon.call('POST', '/api/v1/grants', {
    name: server,
    server,
    // Beside a client that is registered already a document has no effect, which is an error.
    ...(context.client_id === undefined ? { clientMetadataUrl: DOCUMENT } : { clientId: context.client_id }),
    ...(context.client_secret === undefined ? {} : { clientSecret: context.client_secret }),
  })) as { readonly authorizeUrl: string }
  // A browser without anybody in front of it: the authorization servers of the suite agree at once.
  const answer = await fetch(authorizeUrl)
  if (!answer.ok) throw new Error(`the authorization ended with ${answer.status}: ${await answer.text()}`)
}
