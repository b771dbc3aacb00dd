import { spawn } from 'node:child_process'
import type { CliContext } from '../context.ts'
import { unavailable } from '../failure.ts'

/**
 * Opens a file in the editor of the user and waits until it is closed. `VISUAL` and `EDITOR` are command lines
 * (`code --wait`), so a shell reads them, as it does for git and kubectl; the path is an argument of its own.
 *
 * @throws CliFailure when it cannot be started, or says that it failed
 */
export async function openEditor(path: string, { env }: Pick<CliContext, 'env'>): Promise<void> {
  const editor = [env['VISUAL'], env['EDITOR']].find((one) => one !== undefined && one.trim() !== '') ?? 'vi'
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'castellan-edit', path], { env, stdio: 'inherit' })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  }).catch((error: unknown) => {
    throw unavailable('the editor cannot be started', 'set VISUAL or EDITOR to one that is there', error)
  })
  if (status !== 0)
    throw unavailable(
      `the editor ended with status ${status ?? 'of a signal'}, so nothing was changed`,
      'set VISUAL or EDITOR to one that works here',
    )
}
