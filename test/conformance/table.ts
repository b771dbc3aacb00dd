import { parse } from 'yaml'
import { listScenarios, type Requirements, type Role, type ScenarioResult, type SuiteRun } from './suite.ts'

/** One run of the suite: a column of the table. */
export interface Column {
  readonly heading: string
  readonly role: Role
  readonly requirements: Requirements
  readonly run: SuiteRun
  /** Text of the file of what may fail. */
  readonly expected: string
}

export interface Row {
  readonly scenario: string
  /** One per column. */
  readonly marks: readonly string[]
}

/** Scenario × column, for one role; its scenarios in the order of the suite, those that are never scored last. */
export async function tabulate(role: Role, columns: readonly Column[]): Promise<readonly Row[]> {
  const scenariosOf = async (column: Column) =>
    column.role === role ? listScenarios(role, column.requirements) : []
  const sets = await Promise.all(columns.map(scenariosOf))
  const all = sets.flat()
  const names = new Set([...all.filter(({ scored }) => scored), ...all].map(({ scenario }) => scenario))
  return Array.from(names, (scenario) => ({
    scenario,
    marks: columns.map((column, i) => {
      const listed = sets[i]?.some((one) => one.scenario === scenario) ?? false
      return listed ? markOf(column, scenario) : ''
    }),
  }))
}

function markOf({ run, expected }: Column, scenario: string): string {
  const result = run.results.find((one) => one.scenario === scenario)
  if (result === undefined) return 'FAIL, did not end'
  const checks = `${result.passed}/${result.passed + result.failures.length}`
  const word = wordOf(result, expected)
  return word === '' ? checks : `${word} ${checks}`
}

function wordOf(result: ScenarioResult, expected: string): string {
  if (!result.scored) return result.failures.length === 0 ? 'unscored' : 'unscored, fails'
  if (result.failures.length === 0) return 'pass'
  return unexpected(result, expected).length === 0 ? 'expected' : 'FAIL'
}

/** The checks of a scenario that may not fail and do. */
export function unexpected(result: ScenarioResult, expected: string): readonly string[] {
  const entries = (parse(expected) as { readonly [role in Role]?: readonly string[] } | null) ?? {}
  const allowed = new Set([...(entries.server ?? []), ...(entries.client ?? [])])
  if (allowed.has(result.scenario)) return []
  return result.failures
    .filter(({ check }) => !allowed.has(`${result.scenario}:${check}`))
    .map(({ check, why }) => `${check}: ${why}`)
}

export function renderTable(headings: readonly string[], rows: readonly Row[]): string {
  const lines = [
    ['Scenario', ...headings],
    ...rows.map(({ scenario, marks }) => [`\`${scenario}\``, ...marks]),
  ]
  const widths = lines[0]?.map((_, i) => Math.max(3, ...lines.map((line) => line[i]?.length ?? 0))) ?? []
  const draw = (line: readonly string[]): string =>
    `| ${line.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const [head, ...body] = lines.map(draw)
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body].join('\n')
}
