import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { CliContext } from '../../src/cli/context.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import { VERBS } from '../../src/cli/verbs.ts'
import type { Verb } from '../../src/cli/define-command.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface InMemory {
  readonly env?: CliContext['env']
  /** Text, or what stands for a terminal. */
  readonly stdin?: string | CliContext['stdin']
  readonly cwd?: string
  /** Called with what stands on the screen since its last call, for whoever types. */
  readonly onScreen?: (written: string) => void
  readonly verbs?: readonly Verb[]
}

/** One command line, run in this process with memory for a terminal. */
export async function runInMemory(argv: readonly string[], given: InMemory = {}): Promise<Ran> {
  const out = sink()
  const err = sink(given.onScreen)
  const cwd = given.cwd ?? '/nonexistent'
  const context: CliContext = {
    stdout: out.stream,
    stderr: err.stream,
    stdin: typeof given.stdin === 'object' ? given.stdin : Readable.from([Buffer.from(given.stdin ?? '')]),
    env: given.env ?? {},
    cwd,
    userHome: cwd,
    version: () => ({ version: '1.2.3', commit: 'abc', node: '24.0.0' }),
  }
  const code = await runCli(argv, context, given.verbs ?? VERBS)
  return { code, out: out.text(), err: err.text() }
}

function sink(told: (written: string) => void = () => undefined): {
  readonly stream: Writable
  text(): string
} {
  let written = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString()
      told(chunk.toString())
      done()
    },
  })
  return { stream, text: () => written }
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly type: string | undefined
  readonly body: string
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** A real HTTP server on loopback that notes what it is asked and answers as the test says. */
export async function listen(answer: (asked: Asked, request: IncomingMessage) => Answer): Promise<{
  readonly url: string
  readonly asked: Asked[]
  close(): Promise<void>
}> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { authorization, 'content-type': type } = request.headers
      const one = { method: request.method ?? '', path: request.url ?? '', authorization, type, body }
      asked.push(one)
      const { status = 200, headers = {}, body: reply = '' } = answer(one, request)
      const json = typeof reply !== 'string'
      response.writeHead(status, { 'content-type': json ? 'application/json' : 'text/plain', ...headers })
      response.end(json ? JSON.stringify(reply) : reply)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
