import { nearest } from '../../lib/nearest.ts'
import { callApi } from '../api.ts'
import { usage } from '../failure.ts'
import type { Target } from '../target.ts'
import { plain } from './plain.ts'
import type { Provider } from './provider.ts'

/** What the daemon can keep grants of: those that come with it, and those of files in its home. */
export interface Providers {
  readonly items: readonly Provider[]
  /** What is wrong with those files, a sentence each. */
  readonly problems: readonly string[]
}

export async function listProviders(target: Target): Promise<Providers> {
  const { items, problems } = JSON.parse(await callApi(target, ['grants', 'providers'])) as Providers
  return { items: items.map(forScreen), problems: problems.map(plain) }
}

/** What a person is shown of it may have been written by anybody. */
const forScreen = (provider: Provider): Provider => ({
  ...provider,
  title: plain(provider.title),
  fields: provider.fields.map((field) => ({ ...field, prompt: plain(field.prompt) })),
})

/** @throws CliFailure when there is none by that name or alias */
export async function findProvider(target: Target, word: string): Promise<Provider> {
  const { items, problems } = await listProviders(target)
  const found = items.find(({ id, aliases }) => id === word || aliases.includes(word))
  if (found !== undefined) return found
  const meant = nearest(
    word,
    items.map(({ id }) => id),
  )
  const inFiles = problems.length === 0 ? '' : ', and what is wrong with provider files'
  throw usage(
    'there is no provider by that name',
    `${meant === undefined ? '' : `did you mean ${meant}? `}castellan grant providers lists them${inFiles}`,
  )
}
