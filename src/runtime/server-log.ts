import { join } from 'node:path'
import { followLog, readLog } from './log-file.ts'

/** Where the standard error of a Server goes. The older part, once there is one, has `.1` after it. */
export const serverLogPath = (home: string, server: string): string =>
  join(home, 'logs', 'servers', `${safe(server)}.log`)

function safe(server: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(server)) throw new TypeError('not the name of a Server')
  return server
}

/** The last lines that a server wrote; see `readLog`. */
export const readServerLog = async (
  home: string,
  server: string,
  options: { readonly tail: number },
): Promise<readonly string[]> => readLog(serverLogPath(home, server), options)

/** The last lines, then every further one; see `followLog`. */
export const followServerLog = (
  home: string,
  server: string,
  options: { readonly tail: number; readonly signal: AbortSignal },
): AsyncGenerator<string, void, undefined> => followLog(serverLogPath(home, server), options)
