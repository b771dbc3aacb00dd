import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'

/** A frozen set of required scenarios, which is also the revision that the suite speaks while it runs them. */
export type Requirements = '2025-11-25' | '2026-07-28'
export type Role = 'server' | 'client'

export interface ScenarioResult {
  readonly scenario: string
  /** False for what the set names as run and never scored. */
  readonly scored: boolean
  readonly passed: number
  /** Checks that failed or warned, which counts as failed. */
  readonly failures: readonly CheckFailure[]
}

export interface CheckFailure {
  readonly check: string
  readonly why: string
}

export interface SuiteRun {
  /** 0: every required scenario passed or was expected to fail, and no expectation is stale. */
  readonly code: number | null
  /** The summary at the end of what the suite printed. */
  readonly summary: string
  /** In the order of the set; those that never came to an end are missing. */
  readonly results: readonly ScenarioResult[]
}

export interface SuiteOptions {
  readonly role: Role
  /** `--url …` or `--command …`, what the role is tested by. */
  readonly target: readonly string[]
  readonly requirements: Requirements
  /** YAML file of what may fail; an entry that passes fails the run. */
  readonly expectedFailures?: string | undefined
}

const ROOT = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))
const LIMIT_MS = 240_000

/** Runs the official MCP conformance suite with the frozen set of required scenarios of one revision. */
export async function runSuite({
  role,
  target,
  requirements,
  expectedFailures,
}: SuiteOptions): Promise<SuiteRun> {
  const folder = await mkdtemp(join(tmpdir(), 'castellan-conformance-'))
  const expected = expectedFailures === undefined ? [] : ['--expected-failures', expectedFailures]
  const args = [role, ...target, '--requirements', requirements, '-o', folder, ...expected]
  try {
    const child = spawn(process.execPath, [join(ROOT, 'dist/index.js'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    const summary = output.slice(Math.max(0, output.search(/=== (?:SUITE )?SUMMARY ===/)))
    return { code, summary, results: await readResults(folder, role, requirements) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Against an endpoint.
 * @param url its host must be `localhost`: the DNS rebinding scenario applies to no other
 */
export const runServerSuite = (
  url: string,
  requirements: Requirements,
  expectedFailures?: string,
): Promise<SuiteRun> => runSuite({ role: 'server', target: ['--url', url], requirements, expectedFailures })

/** Names of a set's scenarios, required and never scored, in its order. */
export async function listScenarios(
  role: Role,
  requirements: Requirements,
): Promise<readonly { readonly scenario: string; readonly scored: boolean }[]> {
  const set = parse(await readFile(join(ROOT, `requirements/${requirements}.yaml`), 'utf8')) as {
    readonly [role in Role]: readonly string[]
  } & { readonly not_scored: readonly { readonly scenario: string; readonly leg: Role }[] }
  const unscored = set.not_scored.filter(({ leg }) => leg === role)
  return [
    ...set[role].map((scenario) => ({ scenario, scored: true })),
    ...unscored.map(({ scenario }) => ({ scenario, scored: false })),
  ]
}

/** The suite leaves a folder per scenario, named after it and the time of its start. */
async function readResults(
  folder: string,
  role: Role,
  requirements: Requirements,
): Promise<readonly ScenarioResult[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('/checks.json'))
  const fileOf = new Map(
    files.map((file) => [file.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z\/checks\.json$/, ''), file]),
  )
  const results: ScenarioResult[] = []
  for (const { scenario, scored } of await listScenarios(role, requirements)) {
    const file = fileOf.get(role === 'server' ? `server-${scenario}` : scenario)
    if (file !== undefined)
      results.push(readResult(scenario, scored, await readFile(join(folder, file), 'utf8')))
  }
  return results
}

function readResult(scenario: string, scored: boolean, text: string): ScenarioResult {
  const checks = JSON.parse(text) as readonly {
    readonly id: string
    readonly status: string
    readonly errorMessage?: string
    readonly description: string
  }[]
  return {
    scenario,
    scored,
    passed: checks.filter(({ status }) => status === 'SUCCESS').length,
    failures: checks
      .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
      .map(({ id, errorMessage, description }) => ({ check: id, why: errorMessage ?? description })),
  }
}
