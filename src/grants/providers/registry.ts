import { Fault } from '../../lib/fault.ts'
import { nearest } from '../../lib/nearest.ts'
import { COMPILED } from './compiled.ts'
import type { Provider } from './define-provider.ts'
import { fromFile } from './provider-file.ts'
import { readProviderFolder, type ReadFile } from './provider-folder.ts'
import { SHIPPED } from './shipped.ts'

/** All providers at one moment. */
export interface Providers {
  readonly items: readonly Provider[]
  /** What is wrong with files, with file, line and column: for `status` and lists. */
  readonly problems: readonly string[]
  /** @param word a name or an alias */
  readonly find: (word: string) => Provider | undefined
  /** @throws Fault `not_found`; `invalid` with the problems when a file by that name is not taken as it stands */
  readonly need: (word: string) => Provider
}

export interface ProviderRegistry {
  /** Looks whether files have changed; cheap, but not for the way of a call. */
  current(): Promise<Providers>
}

const compiledWords = new Set(COMPILED.flatMap(({ id, aliases }) => [id, ...aliases]))
const shipped = SHIPPED.map((data) => fromFile(data, 'shipped'))

/** What comes with Castellan, without any file. */
export const BUILT_IN: readonly Provider[] = [...COMPILED, ...shipped]

/** @param folder `<home>/providers`; it need not exist */
export function openProviders(folder: string): ProviderRegistry {
  let files: readonly ReadFile[] = []
  let assembled: Providers | undefined
  return {
    async current() {
      const found = await readProviderFolder(folder, files)
      const isSame = found.length === files.length && found.every((file, i) => file === files[i])
      if (assembled === undefined || !isSame) assembled = assemble(found)
      files = found
      return assembled
    },
  }
}

/** Compiled in, then files, then what is shipped: the first that has a word keeps it. */
function assemble(files: readonly ReadFile[]): Providers {
  const problems: string[] = []
  const blocked = new Map<string, readonly string[]>()
  const byWord = new Map(
    COMPILED.flatMap((provider) => wordsOf(provider).map((word) => [word, provider] as const)),
  )
  const items = [...COMPILED]
  for (const { file, found } of files) {
    const refused = found.ok ? takenWords(file, found.value, byWord) : found.error.problems
    if (refused.length > 0) {
      problems.push(...refused)
      // Not the one that is shipped instead: it may send a credential elsewhere than the file meant to.
      for (const word of wordsMeant(file, found)) blocked.set(word, refused)
      continue
    }
    if (!found.ok) continue
    items.push(found.value)
    for (const word of wordsOf(found.value)) byWord.set(word, found.value)
  }
  for (const provider of shipped) {
    const free = provider.aliases.filter((alias) => !byWord.has(alias) && !blocked.has(alias))
    if (byWord.has(provider.id) || blocked.has(provider.id)) continue
    const item = { ...provider, aliases: free }
    items.push(item)
    for (const word of wordsOf(item)) byWord.set(word, item)
  }
  return { items, problems, find: (word) => byWord.get(word), need: (word) => need(word, byWord, blocked) }
}

const wordsOf = ({ id, aliases }: Provider): readonly string[] => [id, ...aliases]

function wordsMeant(file: string, found: ReadFile['found']): readonly string[] {
  const name = found.ok ? found.value.id : found.error.name
  return [file.replace(/\.ya?ml$/, ''), ...(name === undefined ? [] : [name])]
}

function takenWords(
  file: string,
  provider: Provider,
  byWord: ReadonlyMap<string, Provider>,
): readonly string[] {
  const sentences = wordsOf(provider).map((word) => {
    if (compiledWords.has(word)) return `${word} is a provider that is built in; choose another name`
    // `mcp-NAME` is the old form of `mcp:NAME`.
    if (/^(?:mcp|oauth)-/.test(word))
      return `${word} reads like a grant of ${word.split('-')[0]}; choose another name`
    return byWord.has(word) ? `${word} is taken by another file; choose another name` : undefined
  })
  return sentences.flatMap((sentence) => (sentence === undefined ? [] : [`${file}:1:1: ${sentence}`]))
}

function need(
  word: string,
  byWord: ReadonlyMap<string, Provider>,
  blocked: ReadonlyMap<string, readonly string[]>,
): Provider {
  const provider = byWord.get(word)
  if (provider !== undefined) return provider
  const problems = blocked.get(word)
  if (problems !== undefined) {
    const hint = 'correct the file in the folder providers of the home; it is read again by itself'
    throw new Fault('invalid', { problems, hint })
  }
  const meant = nearest(word, [...byWord.keys()])
  const list = 'castellan grant providers lists what there is'
  throw new Fault('not_found', { hint: meant === undefined ? list : `did you mean ${meant}? ${list}` })
}
