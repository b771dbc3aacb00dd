import { SecretValue } from '../../lib/secret-value.ts'
import type { Provider, ProviderField, Values } from './provider.ts'
import type { Origin } from './sources.ts'

/** What a grant is made of. */
export interface Acquired {
  readonly values: Values
  readonly source: Origin | 'stdin'
  /** RFC 3339, UTC. */
  readonly expiresAt?: string | undefined
  /** The host that it is for, where a source said so. */
  readonly qualifier?: string | undefined
}

/** The fields of a grant while they are filled. */
export interface Form {
  /** Fields that can still be filled, in order. */
  open(): readonly ProviderField[]
  /** Those of them without which there is no grant. */
  needed(): readonly ProviderField[]
  /** Whether the user was asked for one. */
  asked(): boolean
  enter(values: Values, source: Acquired['source'], about?: Pick<Acquired, 'expiresAt' | 'qualifier'>): void
  /** Once nothing is needed any more. */
  filled(): Acquired
}

/** @param given by options: no secret among them */
export function createForm({ fields, oneOf }: Provider, given: ReadonlyMap<string, string>): Form {
  const values = new Map([...given].map(([name, value]) => [name, new SecretValue(value)]))
  let source: Origin | 'stdin' | undefined
  let asked = false
  let about: Pick<Acquired, 'expiresAt' | 'qualifier'> = {}
  const isChosen = (): boolean => oneOf.some((name) => values.has(name))
  const isOpen = ({ name }: ProviderField): boolean =>
    !values.has(name) && !(oneOf.includes(name) && isChosen())
  const open = (): readonly ProviderField[] => fields.filter(isOpen)
  return {
    open,
    needed() {
      const choice = open().find(({ name }) => oneOf.includes(name))
      return open().filter((field) => (oneOf.includes(field.name) ? field === choice : !field.optional))
    },
    asked: () => asked,
    enter(found, from, more = {}) {
      const isFree = new Set(open().map(({ name }) => name))
      for (const [name, value] of found) if (isFree.has(name)) values.set(name, value)
      asked ||= from === 'prompt'
      source ??= from
      about = { expiresAt: about.expiresAt ?? more.expiresAt, qualifier: about.qualifier ?? more.qualifier }
    },
    filled: () => ({
      values,
      source: source ?? 'cli',
      expiresAt: about.expiresAt,
      qualifier: about.qualifier,
    }),
  }
}
