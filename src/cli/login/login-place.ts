import type { CliContext } from '../context.ts'
import {
  checkName,
  checkUrl,
  configPath,
  HOME_CONTEXT,
  readConfig,
  type ClientConfig,
} from '../contexts/config-file.ts'
import { usage } from '../failure.ts'
import { contextInUse, resolveTarget, type GlobalChoice } from '../target.ts'

/** Where somebody signs in, and the context that is to know of it. */
export interface LoginPlace {
  readonly name: string
  readonly url: string
}

/**
 * The daemon that is meant, and the context for it: the one that is named, else the one that has this address, else
 * one named after the host.
 *
 * @throws CliFailure when no daemon is known, or the context cannot be made
 */
export function loginPlace(
  context: CliContext,
  given: { readonly url: string | undefined; readonly globals: GlobalChoice },
): LoginPlace {
  const { globals } = given
  if (globals.context === HOME_CONTEXT)
    throw usage(
      'the context home is the administrator of the host, who does not sign in',
      'castellan login makes a context of its own',
    )
  const config = readConfig(configPath(context))
  const url = given.url === undefined ? undefined : checkUrl(given.url)
  if (globals.context !== undefined) return named(globals.context, url, config)
  const inUse = url === undefined ? contextInUse(context, globals) : undefined
  if (inUse !== undefined) return { name: inUse.name, url: inUse.record.url }
  const at = url ?? checkUrl(resolveTarget(context, { home: globals.home }).url.href)
  return { name: nameFor(at, config), url: at }
}

function named(name: string, url: string | undefined, { contexts }: ClientConfig): LoginPlace {
  const at = url ?? contexts.get(name)?.url
  if (at === undefined)
    throw usage(
      'there is no context by that name',
      'give its address: castellan login --context NAME --url URL',
    )
  return { name: checkName(name), url: at }
}

function nameFor(url: string, { current, contexts }: ClientConfig): string {
  const known = [...contexts].filter(([, record]) => record.url === url).map(([name]) => name)
  if (current !== undefined && known.includes(current)) return current
  if (known[0] !== undefined) return known[0]
  const host = new URL(url).host.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  const base = host.slice(0, 50) || 'daemon'
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`
    if (!contexts.has(name)) return name
  }
}
