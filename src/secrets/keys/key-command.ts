import { spawn, type ChildProcess } from 'node:child_process'
import { keyRefusal, MAX_KEY_TEXT, readKeyText } from './key.ts'
import type { KeySource } from './key-source.ts'

/** A program that prints what a key file holds; run without a shell. */
export interface KeyCommand {
  /** The program and its arguments. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** What it wrote to its standard error, cut: for the log. */
  readonly said?: ((text: string) => void) | undefined
  readonly patienceMs?: number | undefined
}

/** A key service on the network may have to be asked twice. */
const PATIENCE_MS = 30_000
const MAX_SAID = 2048
const WHERE = 'the key command'

/** It is asked each time that the key is read: an operator who has put a new key there is noticed. */
export const keyFromCommand = (command: KeyCommand): KeySource => ({
  kind: 'command',
  where: WHERE,
  async read() {
    const { why, stdout, stderr } = await run(command)
    if (stderr !== '') command.said?.(stderr)
    if (why !== undefined) throw keyRefusal(`${WHERE} ${why}; run it by hand to see what it needs`)
    return readKeyText(stdout, WHERE)
  },
})

interface Ran {
  /** Words after "the key command"; undefined: it did what it should. */
  readonly why: string | undefined
  readonly stdout: string
  readonly stderr: string
}

function run({ argv: [program = '', ...args], env, patienceMs = PATIENCE_MS }: KeyCommand): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>()
  const child = spawn(program, args, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stdout = collect(child.stdout, MAX_KEY_TEXT, () => end('prints more than a key'))
  const stderr = collect(child.stderr, MAX_SAID, () => undefined)
  const timer = setTimeout(() => end(`did not end within ${patienceMs / 1000} s`), patienceMs)
  let ended = false
  function end(why: string | undefined): void {
    if (ended) return
    ended = true
    clearTimeout(timer)
    killGroup(child)
    child.stdout.destroy()
    child.stderr.destroy()
    resolve({ why, stdout: stdout(), stderr: stderr() })
  }
  child.once('error', () => end('cannot be started'))
  child.once('close', (status) => end(status === 0 ? undefined : `ended with ${status ?? 'a signal'}`))
  return promise
}

/** @returns what has come so far, at most so many bytes */
function collect(stream: NodeJS.ReadableStream, most: number, full: () => void): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    if (bytes <= most) chunks.push(chunk)
    bytes += chunk.length
    if (bytes > most) full()
  })
  return () => Buffer.concat(chunks).subarray(0, most).toString('utf8')
}

/** What it has started goes with it: nobody else would end that. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
