import { readAnchorsText } from './anchors.ts'
import { archiveDirectory } from './archive.ts'
import { openReader } from './record-file.ts'
import { verifyChain, type VerifyKeys, type VerifyReport } from './verify.ts'

export interface VerifyOptions extends VerifyKeys {
  /** The daemon's home, or a folder made by set-aside. */
  readonly home: string
  readonly chain: string
  /** Lines of an anchors file kept elsewhere: proves what the files of one home cannot. */
  readonly witness?: string | undefined
  /** False: archive files are kept elsewhere, and their signed checkpoints stand for them. Default true. */
  readonly archives?: boolean | undefined
}

/** Verifies the record in the files of a home. */
export const verifyRecord = ({
  home,
  chain,
  witness,
  archives,
  ...keys
}: VerifyOptions): Promise<VerifyReport> =>
  verifyChain(
    {
      chain,
      open: () => openReader(home),
      anchors: () => anchorTexts(home, witness),
      archive: archives === false ? undefined : archiveDirectory(home),
      place: 'audit.db',
    },
    keys,
  )

/** @param home the folder of the anchors file */
export const anchorTexts = (
  home: string,
  witness: string | undefined,
): (readonly [text: string, where: string])[] => [
  [readAnchorsText(home), 'audit-anchors.jsonl'],
  ...(witness === undefined ? [] : [[ended(witness), 'the anchors given'] as const]),
]

/** A last line without its newline would be taken for one whose writing was interrupted. */
const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)
