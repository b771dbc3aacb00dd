import { spawn } from 'node:child_process'
import { BIN } from '../fixtures/daemon.ts'
import { initializeParams, jsonRpc, modernMeta, until, type Json } from './gateway-harness.ts'

/** `castellan connect` as a process of its own, with a client that writes and reads lines. */
export interface Piped {
  /** What came on standard output, line by line, in order. */
  readonly lines: readonly string[]
  readonly messages: readonly Json[]
  readonly stderr: () => string
  write(text: string): void
  /** Sends a request; resolves with the response to it. */
  ask(id: unknown, method: string, params?: Json): Promise<Json>
  askModern(id: unknown, method: string, params?: Json): Promise<Json>
  /** Opens a session, as a legacy client does. */
  initialize(version?: string): Promise<Json>
  notify(method: string, params?: Json): void
  /** Waits for the response to a request that was sent before. */
  reply(id: unknown): Promise<Json>
  /** Notifications of that method that have come. */
  told(method: string): readonly Json[]
  signal(name: NodeJS.Signals): void
  /** Closes standard input; resolves with the exit status. */
  end(): Promise<number | null>
  readonly exited: Promise<number | null>
}

export function startPiped(args: readonly string[], env: Readonly<Record<string, string>> = {}): Piped {
  const child = spawn(process.execPath, [BIN, 'connect', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
  })
  const lines: string[] = []
  const messages: Json[] = []
  let [rest, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      messages.push(JSON.parse(line) as Json)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  const write = (text: string) => void child.stdin.write(`${text}\n`)
  const reply = (id: unknown): Promise<Json> =>
    until(`the response to ${String(id)}`, () =>
      messages.find((message) => message['id'] === id && message['method'] === undefined),
    )
  const piped: Piped = {
    lines,
    messages,
    stderr: () => err,
    write,
    reply,
    ask(id, method, params) {
      write(jsonRpc(id, method, params))
      return reply(id)
    },
    askModern: (id, method, params = {}) => piped.ask(id, method, { ...params, _meta: modernMeta() }),
    async initialize(version = '2025-11-25') {
      const answer = await piped.ask('init', 'initialize', initializeParams(version))
      piped.notify('notifications/initialized')
      return answer
    },
    notify: (method, params = {}) => write(JSON.stringify({ jsonrpc: '2.0', method, params })),
    told: (method) => messages.filter((message) => message['method'] === method),
    signal: (name) => void child.kill(name),
    end() {
      child.stdin.end()
      return exited
    },
    exited,
  }
  return piped
}
