import { unread, type Reading } from '../backend.ts'
import { NOT_TEXT, valueOf } from '../value-of.ts'

/** What Node puts in the place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd'

/**
 * Takes the variables that begin with the prefix out of an environment: from then on they are in memory only, and no
 * child can inherit them.
 *
 * @param env is changed
 * @param reserved variables that mean something else
 */
export function takeVariables(
  env: Record<string, string | undefined>,
  prefix: string,
  reserved: readonly string[],
): ReadonlyMap<string, Reading> {
  const taken = new Map<string, Reading>()
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(prefix) || reserved.includes(name) || text === undefined) continue
    const isText = text.isWellFormed() && !text.includes(REPLACEMENT)
    taken.set(name, isText ? valueOf(Buffer.from(text)) : unread('unusable', NOT_TEXT))
    delete env[name]
  }
  return taken
}
