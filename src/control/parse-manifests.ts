import { Fault } from '../lib/fault.ts'
import { createPause } from './pause.ts'

/** Documents of one body; Lists are taken apart. */
export interface ParsedDocument {
  /** For messages: `document 2`, or `document 2, item 3` inside a List. */
  readonly where: string
  readonly value: unknown
}

export const MAX_BODY_BYTES = 8 * 1024 * 1024
const MAX_DOCUMENTS = 20_000
/** How many aliases may be followed: a few anchors are useful, a billion laughs are not. */
const MAX_ALIASES = 100
const MAX_PROBLEMS = 20

/**
 * JSON, or any number of YAML documents; a List (`kind: List` or `ServerList`, with `items`) counts as its items.
 *
 * @throws Fault `invalid` that says where, and never repeats the text
 */
export async function parseManifests(
  text: string,
  format: 'json' | 'yaml',
): Promise<readonly ParsedDocument[]> {
  const documents = format === 'json' ? [parseJson(text)] : await parseYaml(text)
  // Empty documents count, so that the numbers are those of the file.
  const parsed = documents.flatMap((value, i) =>
    isSomething(value) ? takeApart(value, `document ${i + 1}`) : [],
  )
  if (parsed.length > MAX_DOCUMENTS) {
    throw new Fault('too_large', { hint: `apply at most ${MAX_DOCUMENTS} manifests at once` })
  }
  return parsed
}

/** JSON or YAML with exactly one document. */
export async function parseOne(text: string, format: 'json' | 'yaml'): Promise<unknown> {
  const documents = (format === 'json' ? [parseJson(text)] : await parseYaml(text)).filter(isSomething)
  if (documents.length !== 1) {
    throw new Fault('invalid', { hint: 'send one manifest here; /api/v1/apply takes several' })
  }
  return documents[0]
}

const isSomething = (value: unknown): boolean => value !== null && value !== undefined

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // The message of JSON.parse quotes the text, which may hold a secret: it goes no further than here.
    throw new Fault('not_json', { hint: 'send one JSON value, in UTF-8', detail: (cause as Error).name })
  }
}

async function parseYaml(text: string): Promise<unknown[]> {
  // Loaded on first use: a daemon that is only called has no need of it.
  const { Composer, LineCounter, Parser } = await import('yaml')
  const lines = new LineCounter()
  const tokens = new Parser(lines.addNewLine).parse(text)
  const values: unknown[] = []
  const problems: string[] = []
  const pause = createPause()
  try {
    let count = 0
    for (const document of new Composer({ logLevel: 'silent' }).compose(tokens)) {
      count += 1
      for (const { code, pos } of [...document.errors, ...document.warnings]) {
        const { line, col } = lines.linePos(pos[0])
        problems.push(
          `document ${count}, line ${line}, column ${col}: ${YAML_PROBLEMS[code] ?? 'is not valid YAML'}`,
        )
      }
      if (problems.length === 0) values.push(document.toJS({ maxAliasCount: MAX_ALIASES }))
      if (problems.length >= MAX_PROBLEMS) break
      await pause()
    }
  } catch (error) {
    // Too many aliases, an alias to nothing, or nesting beyond the stack.
    problems.push('the YAML is nested too deeply, or uses aliases in a way that is not taken here')
    throw new Fault('invalid', { problems: problems.slice(0, MAX_PROBLEMS), detail: (error as Error).name })
  }
  if (problems.length > 0) throw new Fault('invalid', { problems: problems.slice(0, MAX_PROBLEMS) })
  return values
}

const YAML_PROBLEMS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same field is given twice',
  TAB_AS_INDENT: 'indent with spaces, not with a tab',
  BAD_INDENT: 'the indentation does not fit',
  BAD_ALIAS: 'an alias has no anchor',
  TAG_RESOLVE_FAILED: 'tags are not taken here',
  MISSING_CHAR: 'a character such as a quote, bracket or colon is missing',
}

function takeApart(value: unknown, where: string): ParsedDocument[] {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !isListKind(value.kind)) {
    return [{ where, value }]
  }
  if (!('items' in value) || !Array.isArray(value.items)) {
    throw new Fault('invalid', { problems: [`${where}: items: must be a list`] })
  }
  return value.items.map((item: unknown, i) => ({ where: `${where}, item ${i + 1}`, value: item }))
}

const isListKind = (kind: unknown): boolean => typeof kind === 'string' && /^[A-Z]?[A-Za-z]*List$/.test(kind)
