import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../../lib/fault.ts'
import { CHAIN_NAME } from '../chain.ts'

/** What a daemon keeps in its home of a record in a database: the name of its chain, its anchors and its archive. */
export const chainFolder = (home: string): string => join(home, 'audit-postgres')

const nameFile = (home: string): string => join(chainFolder(home), 'chain')

/**
 * @returns undefined where the home has written to no database yet
 * @throws Fault `unavailable` for a file that is not what was written
 */
export function readChainName(home: string): string | undefined {
  if (!existsSync(nameFile(home))) return undefined
  const name = readFileSync(nameFile(home), 'utf8').trim()
  if (!CHAIN_NAME.test(name))
    throw new Fault('unavailable', {
      hint: `${nameFile(home)} does not hold the name of a chain; put it back from a backup`,
    })
  return name
}

/**
 * The name of the chain that this home writes, made at the first start: no two homes have the same, and a daemon that
 * starts again goes on with its own. Throws what the file system throws.
 */
export function ensureChainName(home: string): string {
  const known = readChainName(home)
  if (known !== undefined) return known
  const name = `daemon-${randomBytes(8).toString('hex')}`
  const folder = chainFolder(home)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const draft = `${nameFile(home)}.${name}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeFileSync(file, `${name}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    // A link never replaces: of two who start at once, one name stays.
    linkSync(draft, nameFile(home))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  rmSync(draft)
  for (const path of [folder, home]) syncDirectory(path)
  return readChainName(home) ?? name
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  fsyncSync(directory)
  closeSync(directory)
}
