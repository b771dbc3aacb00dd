import type { Clock } from '../../lib/clock.ts'
import type { GrantValues, HostTools } from '../providers/define-provider.ts'
import { assumeRole, type RoleCredentials, type RoleSettings } from './assume-role.ts'

const DEFAULT_SECONDS = 15 * 60
/** Whoever is given credentials can use them for at least that long. */
const MARGIN_MS = 5 * 60_000

/** The settings of a grant that was checked when it was stored. */
export function roleSettings({ shown }: GrantValues, sessionName: string): RoleSettings {
  return {
    role: shown['role'] ?? '',
    durationSeconds: secondsOf(shown['sessionDuration']),
    region: shown['region'],
    externalId: shown['externalId'],
    profile: shown['awsProfile'],
    sessionName,
  }
}

/** @param text `15m` or `2h` */
function secondsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_SECONDS
  return Number.parseInt(text, 10) * (text.endsWith('h') ? 3600 : 60)
}

export interface RoleCredentialSource {
  /**
   * Credentials that live for another 5 minutes at least; kept until then, asked for once however many want them.
   *
   * @throws AwsRefusal
   */
  get(): Promise<RoleCredentials>
}

/** The credentials of one role for one user of them. */
export function createRoleCredentials(
  settings: RoleSettings,
  deps: { readonly tools: HostTools; readonly clock: Clock },
): RoleCredentialSource {
  let kept: RoleCredentials | undefined
  let asking: Promise<RoleCredentials> | undefined
  async function ask(): Promise<RoleCredentials> {
    try {
      kept = await assumeRole(settings, deps.tools)
      return kept
    } finally {
      asking = undefined
    }
  }
  return {
    async get() {
      if (kept !== undefined && kept.expiresAtMs - deps.clock.nowMs() > MARGIN_MS) return kept
      return await (asking ??= ask())
    },
  }
}
