import { usage } from '../failure.ts'
import { acquire, type AcquireChoice } from './acquire.ts'
import { findProvider } from './find-provider.ts'
import { giveGrant } from './give-grant.ts'
import { holderOf, type HolderChoice } from './holder-options.ts'
import { readOrigins } from './read-origins.ts'
import type { Provider } from './provider.ts'
import type { CliContext } from '../context.ts'
import { printLines } from '../context.ts'
import type { Target } from '../target.ts'

/** A grant of a provider, as the command line says it. */
export interface ProviderGrant extends Omit<AcquireChoice, 'qualifier'>, HolderChoice {
  /** `npm`, `gh` or `npm:registry.example.com`. */
  readonly word: string
  readonly host: string | undefined
  readonly urls: readonly string[]
  readonly noTest: boolean
  readonly force: boolean
  readonly output: 'text' | 'json' | undefined
}

/**
 * Finds what a provider wants on this machine, or asks for it, and hands it to the daemon.
 *
 * @throws CliFailure
 */
export async function giveFromProvider(
  asked: ProviderGrant,
  { target, context }: { readonly target: Target; readonly context: CliContext },
): Promise<void> {
  const holder = holderOf(asked)
  const [word = '', ...rest] = asked.word.split(':')
  const origins = asked.urls.length === 0 ? undefined : readOrigins(asked.urls)
  const provider = await findProvider(target, word)
  const qualifier = qualifierOf(provider, rest.length === 0 ? undefined : rest.join(':'), asked.host)
  const acquired = await acquire(provider, Object.assign({ qualifier }, asked), { context, target })
  const name = nameOf(provider, qualifier ?? acquired.qualifier ?? provider.qualifier?.default)
  await giveGrant(
    target,
    { name, acquired, holder, origins, force: asked.force },
    { context, test: !asked.noTest, json: asked.output === 'json' },
  )
  if (provider.runsOnly) printLines(context.stderr, [`${name} is of use to runs only`])
}

function qualifierOf(
  { qualifier, id }: Provider,
  written: string | undefined,
  host: string | undefined,
): string | undefined {
  const given = written ?? host
  if (written !== undefined && host !== undefined && written !== host)
    throw usage('the host is said twice, and differently', `write: castellan grant ${id} --host HOST`)
  if (given !== undefined && qualifier === null)
    throw usage(`there is one grant of ${id}, not one for each host`, `write: castellan grant ${id}`)
  return given
}

function nameOf({ id, qualifier }: Provider, chosen: string | undefined): string {
  if (qualifier === null) return id
  if (chosen === undefined)
    throw usage(`there is a grant of ${id} for each ${qualifier.name}`, `add: --host ${qualifier.example}`)
  return `${id}:${chosen}`
}
