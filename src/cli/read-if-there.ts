import { readFileSync } from 'node:fs'
import { unavailable } from './failure.ts'

/**
 * A file as text, if it is there.
 *
 * @throws CliFailure when it is there and cannot be read
 */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unavailable(
      `${path} cannot be read (${code ?? 'unknown reason'})`,
      'run this as the user whose file it is; that of a home is of who started the daemon',
      error,
    )
  }
}
