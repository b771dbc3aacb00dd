import type { Field, Provider, Qualifier, Source } from './define-provider.ts'
import type { Providers } from './registry.ts'

/** A provider as the command line and the console get it: all they need to ask for a credential, and no code. */
export interface DescribedProvider {
  readonly id: string
  readonly aliases: readonly string[]
  readonly title: string
  readonly description: string
  readonly qualifier: Qualifier | null
  readonly fields: readonly {
    readonly name: string
    readonly prompt: string
    readonly secret: boolean
    readonly optional: boolean
  }[]
  /** Exactly one of these fields is given. */
  readonly oneOf: readonly string[]
  readonly sources: readonly Source[]
  readonly origins: readonly string[]
  /** Variables and files that a run holds stand-ins in. */
  readonly sees: readonly string[]
  readonly canBeTested: boolean
  readonly canBeRefreshed: boolean
  readonly runsOnly: boolean
  readonly from: Provider['from']
}

export interface DescribedProviders {
  readonly items: readonly DescribedProvider[]
  /** What is wrong with provider files. */
  readonly problems: readonly string[]
}

export const describeProviders = ({ items, problems }: Providers): DescribedProviders => ({
  items: items.map(describeProvider),
  problems,
})

export const describeProvider = (provider: Provider): DescribedProvider => ({
  id: provider.id,
  aliases: provider.aliases,
  title: provider.title,
  description: provider.description,
  qualifier: provider.qualifier ?? null,
  fields: provider.fields.map(({ name, prompt, secret, optional }: Field) => ({
    name,
    prompt,
    secret,
    optional,
  })),
  oneOf: provider.oneOf,
  sources: provider.sources,
  origins: provider.origins,
  sees: provider.sees.map((seen) =>
    seen.as === 'variable' ? seen.name : 'variable' in seen ? seen.variable : `~/${seen.path}`,
  ),
  canBeTested:
    provider.validations.length > 0 || provider.check !== undefined || provider.qualifier?.name === 'name',
  canBeRefreshed: provider.refresh !== undefined || provider.id === 'oauth',
  runsOnly: provider.runsOnly,
  from: provider.from,
})
