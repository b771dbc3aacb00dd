/** A block of a guide that is run, and the block of its output that may follow it. */
export interface Step {
  /** Of whom the terminal is: the word after `sh`; `every` is what each terminal begins with. */
  readonly terminal: string
  /** What stands after that: where alone it is run, and whether it is to be refused. */
  readonly marks: readonly string[]
  readonly commands: readonly string[]
  /** undefined: there is none, and then nothing may be printed. */
  readonly output: string | undefined
  /** Of the first command, in the page. */
  readonly line: number
}

/** Everything between the steps, and the steps: joined again, they are the page. */
export type Part = { readonly text: string } | { readonly step: Step; readonly source: string }

const FENCE = /^```(\w+)?(.*)$/

/** Reads a page: each block of `sh`, and the block of `text` right after it, is a step. */
export function readPage(page: string): readonly Part[] {
  const parts: Part[] = []
  const lines = page.split('\n')
  let prose: string[] = []
  for (let at = 0; at < lines.length;) {
    const [, language, words = ''] = FENCE.exec(lines[at] ?? '') ?? []
    if (language === undefined) {
      prose.push(lines[at++] ?? '')
      continue
    }
    const end = lines.indexOf('```', at + 1)
    if (language !== 'sh') {
      prose.push(...lines.slice(at, end + 1))
      at = end + 1
      continue
    }
    parts.push({ text: `${prose.join('\n')}\n` })
    prose = []
    const outputAt = lines[end + 1] === '' && lines[end + 2] === '```text' ? end + 2 : undefined
    const outputEnd = outputAt === undefined ? undefined : lines.indexOf('```', outputAt)
    const [terminal = 'host', ...marks] = words.trim().split(' ').filter(Boolean)
    const step: Step = {
      terminal,
      marks,
      commands: commandsIn(lines.slice(at + 1, end)),
      output: outputAt === undefined ? undefined : lines.slice(outputAt + 1, outputEnd).join('\n'),
      line: at + 2,
    }
    parts.push({ step, source: lines.slice(at, end + 1).join('\n') })
    at = (outputEnd ?? end) + 1
  }
  parts.push({ text: prose.join('\n') })
  return parts
}

/** One command is one line, with those that it goes on in: after a backslash, or up to the end of a here-document. */
function commandsIn(lines: readonly string[]): string[] {
  const commands: string[] = []
  let open: string[] = []
  let until: string | undefined
  for (const line of lines) {
    open.push(line)
    until ??= /<<'?(\w+)'?/.exec(line)?.[1]
    if (until === undefined ? line.endsWith('\\') : line !== until) continue
    const command = open.join('\n')
    if (command.trim() !== '' && !command.startsWith('#')) commands.push(command)
    ;[open, until] = [[], undefined]
  }
  return commands
}

/** The page again, where a step that printed something else than it says has what it printed. */
export const writePage = (parts: readonly Part[], printed: ReadonlyMap<Step, string>): string =>
  parts
    .map((part) => {
      if ('text' in part) return part.text
      const was = printed.get(part.step)
      const output = was === undefined || isAsSaid(part.step.output ?? '', was) ? part.step.output : was
      return `${part.source}\n${output === undefined || output === '' ? '' : `\n\`\`\`text\n${output}\n\`\`\`\n`}`
    })
    .join('')

/** What differs each time, and may: a time, a size, an identifier. Two of one sort are alike. */
const VARYING: readonly RegExp[] = [
  /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/,
  /\b\d+(?:\.\d+)? ?(?:ms|s|m|h)\b/,
  /\bpid:? +\d+/,
  /\bcst_[\w-]{4,}/,
  /\b[0-9a-f]{8,64}\b/,
  /\bstarting \.*/,
  /\b\d+\.\d\b/,
  /\b\d+ (?:segments|entries|anchors)|\bsegment \d+/,
]
const SORTS = new RegExp(VARYING.map(({ source }) => `(${source})`).join('|'), 'g')

function patternOf(line: string): string {
  let [pattern, from] = ['', 0]
  for (const match of line.matchAll(SORTS)) {
    pattern += literal(line.slice(from, match.index))
    pattern += `(?:${VARYING[match.slice(1).findIndex((found) => found !== undefined)]?.source ?? ''})`
    from = match.index + match[0].length
  }
  return pattern + literal(line.slice(from))
}

/** `…` stands for anything in a line; columns may be wider or narrower. */
const literal = (text: string): string =>
  text
    .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('…', '.*')
    .replaceAll(/ {2,}/g, ' +')

/** Whether something was printed that the page may show like this. A line of `…` alone stands for any lines. */
export function isAsSaid(said: string, printed: string): boolean {
  const lines = said
    .split('\n')
    .map((line) => (line === '…' ? String.raw`(?:.*\n)*?` : `${patternOf(line)} *\n`))
  return new RegExp(`^${lines.join('')}$`).test(`${printed}\n`)
}
