import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { unavailable } from './failure.ts'

/**
 * Writes a secret to a new file that only its owner can read. A file that exists is left alone: its mode, its
 * owner and its other hard links are not ours to trust.
 *
 * @throws CliFailure when the file exists or cannot be made
 */
export async function reserveSecretFile(
  cwd: string,
  path: string,
): Promise<(secret: string) => Promise<void>> {
  const file = await open(resolve(cwd, path), 'wx', 0o600).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason'
    throw unavailable(
      code === 'EEXIST' ? 'the token file exists already' : `the token file cannot be made (${code})`,
      'name a new file in a directory that you may write',
      error,
    )
  })
  return async (secret) => {
    await file.writeFile(secret)
    await file.sync()
    await file.close()
  }
}
