import { createHash } from 'node:crypto'

/**
 * Names of tools and prompts on an aggregated endpoint: `{server}__{name}`, in the alphabet that every known client
 * keeps, at most 64 characters. A name that had to change or be cut ends in `_` and eight hex digits of a digest of
 * the original, so it is the same in every process and after every restart.
 */
const SEPARATOR = '__'
const MAX_LENGTH = 64
const DIGEST_LENGTH = 8

export function exposedName(server: string, name: string): string {
  const clean = name.replace(/[^A-Za-z0-9_.-]/g, '_')
  const full = `${server}${SEPARATOR}${clean}`
  return clean === name && full.length <= MAX_LENGTH ? full : withDigest(full, server, name)
}

/** The same, told apart: for names that clients would fold into one (some turn every `-` and `.` into `_`). */
export const distinctName = (server: string, name: string): string =>
  withDigest(`${server}${SEPARATOR}${name.replace(/[^A-Za-z0-9_.-]/g, '_')}`, server, name)

/** Two exposed names with the same folded form look like one tool to some clients, which then offer only one of them. */
export const foldedName = (exposed: string): string => exposed.replace(/[^A-Za-z0-9]/g, '_').toLowerCase()

/** The server part, for routing before the list of that server is known. */
export function serverOf(exposed: string): string | undefined {
  const at = exposed.indexOf(SEPARATOR)
  return at > 0 ? exposed.slice(0, at) : undefined
}

function withDigest(full: string, server: string, name: string): string {
  const digest = createHash('sha256').update(`${server}\0${name}`).digest('hex').slice(0, DIGEST_LENGTH)
  return `${full.slice(0, MAX_LENGTH - DIGEST_LENGTH - 1)}_${digest}`
}
