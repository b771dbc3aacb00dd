import type { GrantValues, HostTools, Verdict } from '../providers/define-provider.ts'
import { assumeRole, AwsRefusal } from './assume-role.ts'
import { roleSettings } from './role-credentials.ts'

/** Whether this machine may assume the role of a grant; what AWS gives for the trial is thrown away. */
export async function awsCheck(values: GrantValues, _: string, tools: HostTools): Promise<Verdict> {
  try {
    await assumeRole(roleSettings(values, 'castellan-check'), tools)
    return { state: 'valid', message: 'this machine may assume the role' }
  } catch (error) {
    if (!(error instanceof AwsRefusal)) throw error
    return { state: error.about === 'role' ? 'invalid' : 'unknown', message: error.message }
  }
}
