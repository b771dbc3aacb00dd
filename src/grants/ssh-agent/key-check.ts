import type { GrantValues, HostTools, Verdict } from '../providers/define-provider.ts'
import { fingerprintOf, listKeys } from './agent-keys.ts'
import { AgentProtocolError } from './wire.ts'

const TIMEOUT_MS = 10_000

/** Whether the SSH agent of this machine holds the key of a grant. */
export async function keyCheck(values: GrantValues, _host: string, { env }: HostTools): Promise<Verdict> {
  const agentPath = env['SSH_AUTH_SOCK'] ?? ''
  if (agentPath === '') {
    const message = 'the daemon knows no SSH agent: start it where SSH_AUTH_SOCK is set'
    return { state: 'unknown', message }
  }
  try {
    const keys = await listKeys(agentPath, TIMEOUT_MS)
    return keys.some(({ blob }) => fingerprintOf(blob) === values.shown['key'])
      ? { state: 'valid', message: 'the SSH agent of this machine holds the key' }
      : {
          state: 'invalid',
          message: 'the SSH agent of this machine does not hold the key: add it with ssh-add',
        }
  } catch (error) {
    if (!(error instanceof AgentProtocolError)) throw error
    return {
      state: 'unknown',
      message:
        'the SSH agent of this machine does not answer: look whether ssh-add -l works where the daemon runs',
    }
  }
}
