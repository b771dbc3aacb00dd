import { callApi } from '../api.ts'
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
 * @throws CliFailure when there is none by that name, or we may not look at it
 */
export async function readServerAuth(target: Target, name: string): Promise<ServerAuth> {
  const { spec } = JSON.parse(await callApi(target, ['servers', name])) as {
    readonly spec: { readonly auth?: ServerAuth }
  }
  return spec.auth ?? {}
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
