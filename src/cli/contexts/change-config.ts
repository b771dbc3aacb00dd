import { replaceFile, whileLocked } from './change-file.ts'
import { readConfig, type ClientConfig, type ContextRecord } from './config-file.ts'

/** The contexts while they are changed. */
export interface ConfigDraft {
  current: string | undefined
  readonly contexts: Map<string, ContextRecord>
}

/**
 * Changes the file of contexts. Another process that does so at the same time waits, and finds this change.
 *
 * @param change is given what stands there at that moment; when it throws, nothing is written
 * @throws CliFailure when the file cannot be read, locked or written
 */
export function changeConfig<Result>(path: string, change: (draft: ConfigDraft) => Result): Result {
  return whileLocked(path, () => {
    const { current, contexts } = readConfig(path)
    const draft: ConfigDraft = { current, contexts: new Map(contexts) }
    const result = change(draft)
    replaceFile(path, textOf(draft))
    return result
  })
}

const textOf = ({ current, contexts }: ClientConfig): string =>
  `${JSON.stringify({ current, contexts: Object.fromEntries(contexts) }, null, 2)}\n`
