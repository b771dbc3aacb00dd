import { nearest } from '../../lib/nearest.ts'
import { callApi } from '../api.ts'
import { usage } from '../failure.ts'
import type { Target } from '../target.ts'
import type { Provider } from './provider.ts'

/** What the daemon can keep grants of: those that come with it, and those of files in its home. */
export async function listProviders(target: Target): Promise<readonly Provider[]> {
  const answer = JSON.parse(await callApi(target, ['grants', 'providers'])) as {
    readonly items: readonly Provider[]
  }
  return answer.items
}

/** @throws CliFailure when there is none by that name or alias */
export async function findProvider(target: Target, word: string): Promise<Provider> {
  const providers = await listProviders(target)
  const found = providers.find(({ id, aliases }) => id === word || aliases.includes(word))
  if (found !== undefined) return found
  const meant = nearest(
    word,
    providers.map(({ id }) => id),
  )
  throw usage(
    'there is no provider by that name',
    `${meant === undefined ? '' : `did you mean ${meant}? `}castellan grant providers lists them`,
  )
}
