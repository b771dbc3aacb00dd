import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { CliContext } from './context.ts'
import { unavailable, usage } from './failure.ts'

const MANIFEST = /\.(?:ya?ml|json)$/
/** What the API takes in one request. */
const MAX_BYTES = 8 * 1024 * 1024

/**
 * The manifests of files, directories (their `.yaml`, `.yml` and `.json` files, by name) and `-` (standard input) as
 * one YAML stream. JSON is YAML, so it needs no care of its own; the daemon parses and judges.
 *
 * @throws CliFailure when something cannot be read, or there is nothing in it
 */
export async function readManifests(
  given: readonly string[],
  context: Pick<CliContext, 'cwd' | 'stdin'>,
): Promise<string> {
  if (given.filter((path) => path === '-').length > 1)
    throw usage('standard input is named twice', 'give - once')
  const texts: string[] = []
  for (const path of given) {
    if (path === '-') texts.push((await buffer(context.stdin)).toString('utf8'))
    else for (const file of await filesIn(resolve(context.cwd, path))) texts.push(await read(file))
  }
  const stream = texts.map((text) => text.replace(/^\uFEFF/, '').trimEnd()).join('\n---\n')
  if (stream.trim() === '')
    throw usage('there is no manifest in what was given', 'see: castellan explain server')
  if (Buffer.byteLength(stream) > MAX_BYTES)
    throw usage('the manifests together are larger than 8 MiB', 'apply them in parts')
  return `${stream}\n`
}

async function filesIn(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (!found.isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => MANIFEST.test(name)).sort()
  if (names.length === 0)
    throw usage(`${path} holds no .yaml, .yml or .json file`, 'name the file, or another directory')
  return names.map((name) => join(path, name))
}

const read = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error)
  })

const unreadable = (path: string, error: unknown): Error =>
  unavailable(
    `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
    'check the path; - reads standard input',
    error,
  )
