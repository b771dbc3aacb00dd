import { isLoopback } from '../lib/loopback.ts'
import { printLines, type CliContext } from './context.ts'
import type { Target } from './target.ts'

/** Says so before something secret goes there in the clear. */
export function warnIfNotEncrypted(
  { url }: Pick<Target, 'url'>,
  { stderr }: Pick<CliContext, 'stderr'>,
): void {
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    printLines(stderr, [
      'warning: this address is not encrypted; whoever is on the way can read what is sent there',
    ])
}
