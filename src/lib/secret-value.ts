import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * A secret held in memory. Whatever prints, serialises or inspects it gets `[redacted]`; `reveal()` is the only way
 * out, and `test/architecture.test.ts` lists the files that may call it.
 */
export class SecretValue {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  /** Whether both hold the same text. Both are ours: how long it takes tells nobody anything. */
  equals(other: SecretValue): boolean {
    return other.#value === this.#value
  }

  /** Length in UTF-8 bytes: what `describe` may show. */
  get byteLength(): number {
    return Buffer.byteLength(this.#value)
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
