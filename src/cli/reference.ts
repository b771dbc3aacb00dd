import { usage } from './failure.ts'

/**
 * `server everything` and `server/everything` mean the same.
 *
 * @returns path segments: the kind, and the name where one is given
 */
export function parseReference(
  args: readonly string[],
): readonly [kind: string] | readonly [kind: string, name: string] {
  const [first = '', second] = args
  const [kind = '', name, ...more] = first.split('/')
  if (
    kind === '' ||
    name === '' ||
    second === '' ||
    more.length > 0 ||
    (name !== undefined && second !== undefined)
  )
    throw usage('the object is not named in a way that can be read', 'write: server NAME, or server/NAME')
  const chosen = name ?? second
  return chosen === undefined ? [kind] : [kind, chosen]
}
