import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { until, type Access, type Json } from './gateway-harness.ts'

/** Official clients of both eras, and load of them. */

const ABOUT = { name: 'real-client', version: '1' }

interface CallOptions {
  readonly onprogress?: () => void
}
export interface RealClient {
  /** Has a stream of its own, and opens it again when it was cut. */
  readonly hasStream: boolean
  readonly call: (name: string, args: Json, options?: CallOptions) => Promise<unknown>
  /** How often it was told that the tools have changed. */
  readonly told: () => number
  close(): Promise<void>
}

const bearer = ({ token }: Access): { requestInit: RequestInit } => ({
  requestInit: { headers: { authorization: `Bearer ${token}` } },
})
const ANSWER = { action: 'accept' as const, content: { username: 'ada', email: 'ada@example.com' } }

/** With sessions, its own stream, and questions that come on it. */
async function legacyClient(access: Access): Promise<RealClient> {
  const client = new Client1(ABOUT, { capabilities: { elicitation: {} } })
  let told = 0
  client.setRequestHandler(ElicitRequestSchema, () => ANSWER)
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void told++)
  await client.connect(new Http1(new URL(access.url), bearer(access)))
  return {
    hasStream: true,
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    told: () => told,
    close: () => client.close(),
  }
}

/** Without sessions; a question to it is parked at the daemon that has the call. */
async function modernClient(access: Access): Promise<RealClient> {
  const client = new Client2(ABOUT, {
    versionNegotiation: { mode: 'auto' },
    capabilities: { elicitation: {} },
  })
  client.setRequestHandler('elicitation/create', () => ANSWER)
  await client.connect(new Http2(new URL(access.url), bearer(access)))
  return {
    hasStream: false,
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    told: () => 0,
    close: () => client.close(),
  }
}

/** Two of each era. */
export const connectAll = (access: Access): Promise<RealClient[]> =>
  Promise.all([legacyClient(access), legacyClient(access), modernClient(access), modernClient(access)])

export type Mix = readonly (readonly [name: string, args: Json])[]

export interface Load {
  /** Calls that were answered well, by tool. */
  readonly answered: Map<string, number>
  readonly failed: string[]
  readonly total: () => number
  /** Resolves when some more were answered, or one has failed. */
  more(what: string): Promise<void>
  end(): Promise<void>
}

/** Each client goes round the mix, one call after the other, until the load is ended. */
export function startLoad(clients: readonly RealClient[], mix: Mix): Load {
  const answered = new Map<string, number>()
  const failed: string[] = []
  const over = new AbortController()
  const drive = async ({ call }: RealClient, from: number): Promise<void> => {
    for (let i = from; !over.signal.aborted; i++) {
      const [name, args] = mix[i % mix.length]!
      try {
        const result = JSON.stringify(await call(name, args))
        if (result.includes('"isError":true')) failed.push(`${name}: ${result}`)
        else answered.set(name, (answered.get(name) ?? 0) + 1)
      } catch (error) {
        failed.push(`${name}: ${String(error)}`)
      }
    }
  }
  const driving = clients.map(drive)
  const total = (): number => [...answered.values()].reduce((sum, n) => sum + n, 0)
  return {
    answered,
    failed,
    total,
    async more(what) {
      const before = total()
      await until(what, () => failed.length > 0 || total() > before + 40)
    },
    async end() {
      over.abort()
      await Promise.all(driving)
    },
  }
}

/** Where the calls of a load balancer are that hold a word. */
interface Holds {
  readonly carried: Iterable<{ readonly origin: string; readonly body: string }>
}

/** One call for each client, which is under way when this resolves. */
export async function holdOne(
  clients: readonly RealClient[],
  balancer: Holds,
): Promise<{ origin: string; outcome: Promise<string> }[]> {
  const outcomes = clients.map(({ call }, i) =>
    // Half of them with a stream, which the client would go on with elsewhere.
    call('one__slow', { ms: 8000, tag: `held-${i}` }, i % 4 < 2 ? { onprogress() {} } : {}).then(
      (result) => (JSON.stringify(result).includes('done') ? 'answered' : JSON.stringify(result)),
      (error: unknown) => `lost: ${String(error)}`,
    ),
  )
  const holding = (i: number): string | undefined =>
    [...balancer.carried].find(({ body }) => body.includes(`held-${i}"`))?.origin
  await until('all are on their way', () => clients.every((_, i) => holding(i) !== undefined))
  return outcomes.map((outcome, i) => ({ origin: holding(i) ?? '', outcome }))
}
