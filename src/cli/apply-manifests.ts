import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { callApi } from './api.ts'
import { printLines, type CliContext } from './context.ts'
import { reserveSecretFile } from './secret-output.ts'
import type { Target } from './target.ts'

interface Applied {
  readonly kind: string
  readonly name: string
  readonly project?: string
  readonly action: 'created' | 'configured' | 'unchanged'
  /** Of a new Token, this once. */
  readonly secret?: string
}

export interface ApplyRequest {
  readonly manifests: string
  readonly dryRun: boolean
  /** Where secrets of new tokens go instead of standard output, one a line. */
  readonly tokenFile?: string | undefined
  readonly asJson?: boolean
}

/** Applies a YAML stream, all of it or nothing, and prints one line per object. Also used by `up -f`. */
export async function applyManifests(
  target: Target,
  request: ApplyRequest,
  context: Pick<CliContext, 'stdout' | 'stderr' | 'cwd'>,
): Promise<void> {
  const { tokenFile, dryRun } = request
  // Made first: a secret that is shown once must not be lost to a directory that does not exist.
  const keep = tokenFile === undefined || dryRun ? undefined : await reserveSecretFile(context.cwd, tokenFile)
  let secrets: string[] = []
  try {
    const stop = showProgress(context.stderr, dryRun ? 'checking' : 'applying')
    const answer = await callApi(target, ['apply'], {
      method: 'POST',
      query: { dryRun: dryRun ? true : undefined },
      body: { type: 'application/yaml', text: request.manifests },
      once: !dryRun,
    }).finally(stop)
    const { results } = JSON.parse(answer) as { results: readonly Applied[] }
    secrets = results.flatMap(({ secret }) => secret ?? [])
    const shown = keep === undefined ? results : results.map(withoutSecret)
    printLines(
      context.stdout,
      request.asJson === true
        ? [JSON.stringify({ results: shown }, null, 2)]
        : shown.flatMap((result) => linesOf(result, dryRun)),
    )
  } finally {
    await keep?.(secrets.map((secret) => `${secret}\n`).join(''))
    if (tokenFile !== undefined && keep !== undefined && secrets.length === 0)
      await rm(resolve(context.cwd, tokenFile))
  }
}

const QUIET_MS = 1000

/** On a terminal: that something goes on, and for how long already. Nothing for what is done within a second. */
function showProgress(to: Writable & { readonly isTTY?: boolean }, doing: string): () => void {
  if (to.isTTY !== true) return () => undefined
  let seconds = 0
  const timer = setInterval(() => {
    seconds += 1
    to.write(`\r${doing} … ${seconds} s`)
  }, QUIET_MS).unref()
  return () => {
    clearInterval(timer)
    if (seconds > 0) to.write('\r\u001B[K')
  }
}

const withoutSecret = ({ kind, name, project, action }: Applied): Applied => ({
  kind,
  name,
  ...(project === undefined ? {} : { project }),
  action,
})

function linesOf(result: Applied, dryRun: boolean): string[] {
  const where = result.project === undefined ? '' : ` (project ${result.project})`
  const line = `${result.kind.toLowerCase()}/${result.name} ${result.action}${where}${dryRun ? ' (dry run)' : ''}`
  return result.secret === undefined ? [line] : [line, result.secret]
}
