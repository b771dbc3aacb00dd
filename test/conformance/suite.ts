import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export type Requirements = '2025-11-25' | '2026-07-28'

export interface SuiteRun {
  /** 0: every required scenario passed or was expected to fail, and no expectation is stale. */
  readonly code: number | null
  /** The summary at the end of what the suite printed. */
  readonly summary: string
}

const SUITE = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')),
  'dist/index.js',
)
const LIMIT_MS = 240_000

/**
 * Runs the official MCP conformance suite, with the frozen set of required scenarios, against an endpoint.
 * @param url its host must be `localhost`: the DNS rebinding scenario applies to no other
 */
export async function runSuite(
  url: string,
  requirements: Requirements,
  expectedFailures?: string,
): Promise<SuiteRun> {
  const results = await mkdtemp(join(tmpdir(), 'castellan-conformance-'))
  const expected = expectedFailures === undefined ? [] : ['--expected-failures', expectedFailures]
  const args = ['server', '--url', url, '--requirements', requirements, '-o', results, ...expected]
  try {
    const child = spawn(process.execPath, [SUITE, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, summary: output.slice(Math.max(0, output.indexOf('=== SUMMARY ==='))) }
  } finally {
    await rm(results, { recursive: true, force: true })
  }
}
