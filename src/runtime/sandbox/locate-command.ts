import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { basename, delimiter, isAbsolute, join, resolve } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import { kindOf } from './paths.ts'

/**
 * Finds a program as `execvp` would, on the host.
 *
 * @returns its absolute path, links not followed; or a public sentence that says why there is none
 */
export function locateCommand(command: string, path: string, cwd: string): Result<string, string> {
  if (command.includes('/')) {
    const absolute = isAbsolute(command) ? resolve(command) : resolve(cwd, command)
    return judge(absolute) ?? ok(absolute)
  }
  let nearest: Result<never, string> | undefined
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder)) continue
    const candidate = join(folder, command)
    const refusal = judge(candidate)
    if (refusal === undefined) return ok(candidate)
    if (kindOf(candidate) === 'file') nearest ??= refusal
  }
  return (
    nearest ??
    err('spec.command is not found in PATH; install it, or give its full path (PATH is that of the daemon)')
  )
}

function judge(path: string): Result<never, string> | undefined {
  const kind = kindOf(path)
  if (kind === undefined) return err('spec.command names a file that does not exist')
  if (kind !== 'file') return err('spec.command names something that is not a program')
  try {
    accessSync(path, constants.X_OK)
    return undefined
  } catch {
    return err('spec.command names a file that is not executable; run chmod +x on it')
  }
}

const SHEBANG_BYTES = 256

/**
 * The interpreter in the first line of a script: an absolute path, or a name to be looked up (`#!/usr/bin/env node`,
 * with or without `-S` and assignments). Undefined for anything that is not a script.
 */
export function interpreterOf(file: string): string | undefined {
  const words = firstLine(file)?.split(/[ \t]+/) ?? []
  const program = words[0]
  if (program === undefined || program === '') return undefined
  if (basename(program) !== 'env') return program
  return words.slice(1).find((word) => !word.startsWith('-') && !word.includes('='))
}

function firstLine(file: string): string | undefined {
  const head = Buffer.alloc(SHEBANG_BYTES)
  try {
    const fd = openSync(file, 'r')
    try {
      const text = head.subarray(0, readSync(fd, head, 0, SHEBANG_BYTES, 0)).toString('latin1')
      return text.startsWith('#!') ? text.slice(2).split('\n', 1)[0]?.trim() : undefined
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
}
