import { connectMcp, type McpClient } from '../../src/cli/mcp/client.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'

/** What is tried, and what there is to try it with. */
export interface Place {
  readonly url: URL
  /** What it says it is; undefined: nothing answers. */
  readonly role: 'edge gateway' | 'control plane' | undefined
  readonly isLocal: boolean
  readonly project: string
  /** One that is there, and not the token's. */
  readonly otherProject: string | undefined
  /** A token of the project. */
  readonly token: string | undefined
  /** Somebody who may make and revoke tokens of the project: a sign-in, or the administrator of the host. */
  readonly operator: string | undefined
  /** Requests to anything below the address; `bearer` undefined sends none. */
  fetch(path: string, bearer: string | undefined, init?: RequestInit): Promise<Response>
  connect(bearer: string, project?: string): Promise<McpClient>
  /** Undone at the end, the last first. */
  later(undo: () => Promise<unknown>): void
  leave(): Promise<void>
}

const TIMEOUT_MS = 30_000

const USAGE = `npm run smoke -- URL

  URL                   of the gateway, or of the MCP endpoint of a project on it
  CASTELLAN_TOKEN       a token of the project
  SMOKE_OPERATOR_TOKEN  what may make and revoke tokens of it, for the checks of revocation
  SMOKE_OTHER_PROJECT   a project that is there and not the token's
  SMOKE_PROJECT         the project, where the URL names none`

/** Prints the usage and ends with status 2 when there is no address that can be read. */
export async function readPlace(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Place> {
  const given = args[0] ?? env['SMOKE_URL']
  if (given === undefined || !URL.canParse(given)) {
    console.error(USAGE)
    process.exit(2)
  }
  const url = new URL(given)
  const named = /\/projects\/([a-z0-9-]{1,40})\/mcp\/?$/.exec(url.pathname)
  const base = new URL(
    named === null ? url.pathname.replace(/\/?$/, '/') : url.pathname.slice(0, named.index + 1),
    url,
  )
  const undo: (() => Promise<unknown>)[] = []
  const request: Place['fetch'] = (path, bearer, init = {}) => {
    const headers = new Headers(init.headers)
    if (bearer !== undefined) headers.set('authorization', `Bearer ${bearer}`)
    return fetch(new URL(path, base), { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
  }
  const nonEmpty = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const project = named?.[1] ?? nonEmpty('SMOKE_PROJECT') ?? 'demo'
  return {
    url: base,
    role: await request('edge-info', undefined).then(roleIn, () => undefined),
    isLocal: /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname),
    project,
    otherProject: nonEmpty('SMOKE_OTHER_PROJECT'),
    token: nonEmpty('CASTELLAN_TOKEN'),
    operator: nonEmpty('SMOKE_OPERATOR_TOKEN'),
    fetch: request,
    connect: (bearer, of = project) =>
      connectMcp({
        url: new URL(`projects/${of}/mcp`, base),
        token: new SecretValue(bearer),
        timeoutMs: TIMEOUT_MS,
      }),
    later: (step) => void undo.push(step),
    async leave() {
      for (const step of undo.toReversed()) await step().catch(() => undefined)
    },
  }
}

/** An edge says so; whatever else answers has no such address. */
async function roleIn(answer: Response): Promise<Place['role']> {
  const text = await answer.text()
  return answer.ok && text.includes('"role":"gateway"') ? 'edge gateway' : 'control plane'
}
