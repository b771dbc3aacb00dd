import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { unavailable } from '../failure.ts'

/** No file that holds a login is larger. */
const MAX_BYTES = 256 * 1024

/**
 * A file of another program, as text, if it is there.
 *
 * @param mend what to do where it cannot be read
 * @throws CliFailure when it is there and is no file, or too large, or not ours to read
 */
export function readLoginFile(path: string, mend: string): string | undefined {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const about = fstatSync(file)
    if (!about.isFile()) throw unavailable(`${path} is not a file`, mend)
    if (about.size > MAX_BYTES) throw unavailable(`${path} is larger than ${MAX_BYTES / 1024} KiB`, mend)
    const bytes = Buffer.alloc(about.size)
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, about.size, 0))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unavailable(`${path} cannot be read (${code})`, mend, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * The same for a JSON object. What is wrong with it is said without any of its content.
 *
 * @throws CliFailure
 */
export function readLoginObject(path: string, mend: string): Readonly<Record<string, unknown>> | undefined {
  const text = readLoginFile(path, mend)
  if (text === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(text)
    if (isObject(parsed)) return parsed
  } catch {
    // The message of the parser quotes what it read.
    throw unavailable(`${path} is not JSON`, mend)
  }
  throw unavailable(`${path} does not hold a JSON object`, mend)
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
