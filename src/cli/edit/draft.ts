import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { unavailable } from '../failure.ts'

/** A manifest while somebody edits it: a file of theirs alone, which outlives a failure. */
export interface Draft {
  readonly path: string
  /** Puts it down for another look, with what is wrong with it on top. */
  write(text: string, problems: readonly string[]): Promise<void>
  /** What is there, without the lines that we have put on top. */
  read(): Promise<string>
  remove(): Promise<void>
}

const MARK = '#| '
const HELP = [
  'Change what is below, save, and close the editor. What is saved unchanged, or empty, changes nothing.',
  'status and the uid, times and generation in metadata are written by the system; changes of them are ignored.',
]

/** @param name of the object, for the name of the file */
export async function createDraft(name: string): Promise<Draft> {
  const folder = await mkdtemp(join(tmpdir(), 'castellan-edit-'))
  const path = join(folder, `${name.replaceAll(/[^A-Za-z0-9.-]/g, '_').slice(0, 80)}.yaml`)
  return {
    path,
    async write(text, problems) {
      const above = [...HELP, ...(problems.length === 0 ? [] : ['', 'It was refused:', ...problems])]
      const lines = above.flatMap((line) => line.split('\n')).map((line) => `${MARK}${line}`.trimEnd())
      await writeFile(path, `${lines.join('\n')}\n${text}`, { mode: 0o600 })
    },
    read: async () => withoutMarks(await readFile(path, 'utf8').catch(unreadable)),
    remove: () => rm(dirname(path), { recursive: true, force: true }),
  }
}

/** Comments of the user's own, which begin with a plain `#`, stay. */
const withoutMarks = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.startsWith(MARK.trimEnd()))
    .join('\n')

function unreadable(error: unknown): never {
  throw unavailable('what the editor left behind cannot be read', 'nothing was changed; try again', error)
}
