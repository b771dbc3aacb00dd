import type { Writable } from 'node:stream'
import { printLines } from '../context.ts'

/** The client at the other end of standard output: one message a line, and nothing else. */
export class ClientPipe {
  readonly #out: Writable
  readonly #err: Writable
  #drained: Promise<void> | undefined
  #noted = ''

  constructor(out: Writable, err: Writable) {
    this.#out = out
    this.#err = err
  }

  /**
   * @param message JSON-RPC message, or batch, as it came
   * @returns what to wait for before the next, when the client does not keep up
   */
  write(message: Buffer | string): Promise<void> | undefined {
    const text = typeof message === 'string' ? Buffer.from(message) : message
    if (this.#out.write(Buffer.concat([oneLine(text), LINE_END]))) return undefined
    this.#drained ??= new Promise((resolve) => {
      const settle = (): void => {
        this.#drained = undefined
        this.#out.off('drain', settle)
        this.#out.off('close', settle)
        resolve()
      }
      this.#out.on('drain', settle)
      this.#out.on('close', settle)
    })
    return this.#drained
  }

  /** For people, who find it in the log of the client. What was just said is not said again. */
  note(text: string): void {
    if (text === this.#noted) return
    this.#noted = text
    printLines(this.#err, [`castellan connect: ${text}`])
  }
}

const LINE_END = Buffer.from('\n')

/** Between tokens a line break and a space mean the same, and inside of strings none can stand (RFC 8259, 2 and 7). */
function oneLine(message: Buffer): Buffer {
  if (!message.includes(0x0a) && !message.includes(0x0d)) return message
  return Buffer.from(message).map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte)) as Buffer
}
