import { callApi } from '../api.ts'
import { CliFailure } from '../failure.ts'
import type { Target } from '../target.ts'

/** `spec.auth` of a Server, as far as it is looked at here. */
export interface ServerAuth {
  readonly grant?: string
  readonly whose?: 'shared' | 'per-user' | 'per-project' | 'caller'
  readonly profile?: string
}

/**
 * What a Server sends with its requests.
 *
 * @returns undefined where we may not look at it
 * @throws CliFailure when there is none by that name
 */
export async function readServerAuth(target: Target, name: string): Promise<ServerAuth | undefined> {
  try {
    const { spec } = JSON.parse(await callApi(target, ['servers', name])) as {
      readonly spec: { readonly auth?: ServerAuth }
    }
    return spec.auth ?? {}
  } catch (error) {
    if (error instanceof CliFailure && error.body.code === 'forbidden') return undefined
    throw error
  }
}

/** What to write into the manifest of a Server so that it uses a grant. */
export const authSnippet = (
  grant: string,
  more: { readonly whose?: ServerAuth['whose'] | undefined; readonly profile: string | undefined },
): readonly string[] => [
  'spec:',
  '  auth:',
  `    grant: ${grant}`,
  ...(more.profile === undefined ? [] : [`    profile: ${more.profile}`]),
  ...(more.whose === undefined ? [] : [`    whose: ${more.whose}`]),
]
