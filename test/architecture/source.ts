import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The sources as text, for the rules that no type and no lint rule can hold. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
  /** The text with every comment blanked, of the same length. */
  readonly code: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** As written: `../lib/fault.ts`, `node:http`, `hono`; undefined where it is computed. */
  readonly specifier: string | undefined
  /** `static` and `dynamic` run code; `type` is gone when it runs; `url` is `new URL('…', import.meta.url)`. */
  readonly how: 'static' | 'type' | 'dynamic' | 'url'
}

const FOLDERS_APART = new Set(['node_modules', 'dist', 'coverage', '.castellan', '.cache', '.git'])

/** Every file below a folder of the repository, or the files at its root for `''`; sorted. */
export function listFiles(folder: string): readonly string[] {
  const found: string[] = []
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(ROOT, path), { withFileTypes: true })) {
      const inner = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.isFile()) found.push(inner)
      else if (entry.isDirectory() && folder !== '' && !FOLDERS_APART.has(entry.name)) walk(inner)
    }
  }
  walk(folder)
  return found.sort()
}

export const exists = (path: string): boolean => existsSync(join(ROOT, path))
export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

export function readSources(folder: string): readonly SourceFile[] {
  return listFiles(folder)
    .filter((path) => /\.[jt]s$/.test(path))
    .map((path) => {
      const text = readText(path)
      const code = blankComments(text)
      return { path, text, code, imports: findImports(code) }
    })
}

/** Lines that are neither blank nor comment: what the limits of size count. */
export const codeLines = ({ code }: SourceFile): number =>
  code.split('\n').filter((line) => line.trim() !== '').length

/** What a relative specifier means, from the root; undefined for packages and what Node brings. */
export const resolveImport = (from: string, specifier: string): string | undefined =>
  specifier.startsWith('.') ? relative(ROOT, join(ROOT, dirname(from), specifier)) : undefined

// oxfmt-ignore
const FORMS: readonly (readonly [how: Import['how'], form: RegExp])[] = [
  ['type',    /(?:^|[;}\s])(?:import|export)\s+type\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g],
  ['static',  /(?:^|[;}\s])(?:import|export)\s+(?!type\b)[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g],
  ['static',  /(?:^|[;}\s])import\s*['"]([^'"]+)['"]/g],
  ['type',    /\btypeof\s+import\(\s*['"]([^'"]+)['"]/g],
  ['dynamic', /(?<!typeof\s+)\bimport\(\s*(?:['"]([^'"]+)['"]|[^'"\s])/g],
  ['dynamic', /\b(?:require|getBuiltinModule|import\.meta\.resolve)\(\s*(?:['"]([^'"]+)['"]|[^'"\s])/g],
  ['url',     /\bnew URL\(\s*(?:['"]([^'"]+)['"]|[^,()]+),\s*import\.meta\.url/g],
]

const findImports = (code: string): readonly Import[] =>
  FORMS.flatMap(([how, form]) =>
    Array.from(code.matchAll(form), ([, specifier]): Import => ({ specifier, how })),
  )

/** Where a `/` opens a regular expression and does not divide: after these, or after a word that wants an operand. */
const BEFORE_REGEX = /(?:^|[=(,:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await|yield|throw|else))\s*$/

/** One piece of source: comment, string, or regular expression; templates are walked by `blankComments`. */
// oxfmt-ignore
const PIECES = {
  comment: /\/\/[^\n]*|\/\*[\s\S]*?\*\//y,
  text:    /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y,
  regex:   /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y,
  chunk:   /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y,
}

function blankComments(text: string): string {
  let out = ''
  let at = 0
  /** Of each template that is open: how many braces are open inside its `${`. */
  const templates: number[] = []
  const take = (piece: RegExp): string | undefined => {
    piece.lastIndex = at
    const found = piece.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const takeChunk = (): void => {
    out += take(PIECES.chunk) ?? ''
    const closes = text[at] === '`'
    out += closes ? '`' : text.slice(at, at + 2)
    at += closes ? 1 : 2
    if (closes) templates.pop()
  }
  while (at < text.length) {
    const comment = take(PIECES.comment)
    if (comment !== undefined) {
      out += comment.replaceAll(/[^\n]/g, ' ')
      continue
    }
    const kept = take(PIECES.text) ?? (BEFORE_REGEX.test(out.slice(-40)) ? take(PIECES.regex) : undefined)
    if (kept !== undefined) {
      out += kept
      continue
    }
    const char = text.charAt(at)
    out += char
    at += 1
    const top = templates.length - 1
    if (char === '`') {
      templates.push(0)
      takeChunk()
    } else if (char === '{' && top >= 0) templates[top] = (templates[top] ?? 0) + 1
    else if (char === '}' && top >= 0) {
      if (templates[top] === 0) takeChunk()
      else templates[top] = (templates[top] ?? 0) - 1
    }
  }
  return out
}
