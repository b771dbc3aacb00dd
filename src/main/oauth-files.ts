import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { readOAuthFile } from '../grants/oauth-file.ts'
import { Fault } from '../lib/fault.ts'
import type { OAuthSettings } from '../oauth/client/settings.ts'

const MAX_BYTES = 64 * 1024

/**
 * The files `oauth/NAME.yaml` of the home, in which an operator writes down what cannot be discovered.
 *
 * @throws Fault `invalid` with every problem and its place; `unavailable` when it is there and cannot be read
 */
export const createOAuthFiles =
  (home: string) =>
  async (name: string): Promise<OAuthSettings | undefined> => {
    const label = `oauth/${name}.yaml`
    const text = await readBounded(join(home, 'oauth', `${name}.yaml`), label)
    if (text === undefined) return undefined
    const read = await readOAuthFile(text, label)
    if (!read.ok) throw new Fault('invalid', { problems: read.error })
    return read.value
  }

async function readBounded(path: string, label: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const { size, mode } = await file.stat()
      if (size > MAX_BYTES) throw new Fault('invalid', { problems: [`${label}: is larger than 64 KiB`] })
      const text = await file.readFile('utf8')
      if ((mode & 0o077) !== 0 && /^\s*client_secret\s*:/m.test(text))
        throw new Fault('invalid', {
          problems: [`${label}: holds a secret that others may read; run: chmod 600 ${label} in the home`],
        })
      return text
    } finally {
      await file.close()
    }
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (thrown instanceof Fault) throw thrown
    throw new Fault('unavailable', {
      hint: `${label} of the home cannot be read; check who owns it`,
      cause: thrown,
    })
  }
}
