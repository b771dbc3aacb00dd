import { usage } from './failure.ts'

/** What `auth can-i` and `auth who-can` ask about, as the API takes it. */
export type AskedRight = {
  readonly verb?: string
  readonly kind?: string
  readonly name?: string | undefined
  readonly operation?: string
}

const FORM = 'write: VERB KIND [NAME], such as edit server github; or an operation, such as action:logs'

/**
 * `edit server github`, `edit server/github`, or `action:logs`. `run logs` is told apart from a kind by the daemon,
 * which knows the words.
 *
 * @throws CliFailure `invalid`
 */
export function askedRight([verb = '', given, name, ...more]: readonly string[]): AskedRight {
  const action = /^action:(.+)$/.exec(verb)?.[1]
  if (action !== undefined && given === undefined) return { operation: action }
  const [kind = '', named, ...parts] = (given ?? '').split('/')
  const isNamedTwice = named !== undefined && name !== undefined
  if (action !== undefined || kind === '' || named === '' || isNamedTwice || parts.length + more.length > 0)
    throw usage('what is asked about cannot be read', FORM)
  return { verb, kind, name: named ?? name }
}
