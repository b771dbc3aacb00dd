import type { GrantKey } from '../../../grants/grant.ts'
import type { Verdict } from '../../../grants/providers/define-provider.ts'

/** Whether a grant works, asked of whoever issued it or of the server that it is for. */
export interface GrantTester {
  /**
   * @param sees whether whoever asks may know of this Server; another is not named
   * @returns undefined: there is no such grant
   */
  test(key: GrantKey, sees: (server: string) => boolean): Promise<Verdict | undefined>
}
