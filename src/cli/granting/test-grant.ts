import { callApi } from '../api.ts'
import type { Target } from '../target.ts'
import { queryOf, type HolderQuery } from './holder-options.ts'

/** What a provider said of a grant. */
export interface Verdict {
  readonly state: 'valid' | 'invalid' | 'unknown'
  /** One sentence. */
  readonly message: string
}

export const testGrant = async (target: Target, name: string, holder: HolderQuery): Promise<Verdict> =>
  JSON.parse(
    await callApi(target, ['grants', name, 'test'], { method: 'POST', query: queryOf(holder) }),
  ) as Verdict
