import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { callApi, jsonBody } from '../api.ts'
import { askHidden, isTerminal } from '../ask.ts'
import { printLines, type CliContext } from '../context.ts'
import { defineCommand, list, text } from '../define-command.ts'
import { unavailable, usage } from '../failure.ts'
import { pairs } from '../pair-options.ts'

const FORM =
  'castellan create secret NAME --from-file KEY=PATH, or --from-stdin KEY, or KEY alone to be asked'
const REF_FORM = 'castellan create secret NAME --backend env --ref KEY=CASTELLAN_SECRET_VARIABLE'

export const createSecret = defineCommand({
  arguments: ['<name>', '[keys...]'],
  options: {
    fromFile: list('--from-file <KEY=PATH>', 'take the value of a key from a file, as it is; repeatable'),
    fromStdin: text(
      '--from-stdin <KEY>',
      'take the value of a key from standard input, without its last newline',
    ),
    backend: text(
      '--backend <name>',
      'the values are kept there, and the daemon reads them: env (its variables) or file (its files)',
    ),
    refs: list(
      '--ref <KEY=REFERENCE>',
      'with --backend: what the value of a key is called there; repeatable',
    ),
    fromLiteral: list('--from-literal <KEY>', 'refused: arguments can be read by every user of the machine'),
  },
  about:
    'A value is asked for without showing it, or comes from a file or standard input here, and is sealed by the daemon. With --backend it stays where the daemon runs, and only what it is called is sent. A value never stands in an argument.',
  examples: [
    'castellan create secret context7 key',
    'castellan create secret github --from-file token=./github.token',
    'pass show github | castellan create secret github --from-stdin token',
    'castellan create secret github --backend env --ref token=CASTELLAN_SECRET_GITHUB',
    'castellan create secret github --backend file --ref token=/run/secrets/github-token',
  ],
  async run({ args: [name = '', ...keys], options, target, context }) {
    if (options.fromLiteral.length > 0 || keys.some((key) => key.includes('=')))
      throw usage(
        'a secret value may not stand in an argument; this one should be replaced where it is valid',
        FORM,
      )
    const { backend, refs, fromFile: files, fromStdin: stdin } = options
    const isHere = backend === undefined && refs.length === 0
    if (!isHere && (files.length > 0 || stdin !== undefined || keys.length > 0))
      throw usage('values are given, and a backend that has them already', `${FORM}; or ${REF_FORM}`)
    const manifest = {
      apiVersion: 'castellan/v1',
      kind: 'Secret',
      metadata: { name },
      spec: isHere
        ? { data: Object.fromEntries(await readValues({ files, stdin, keys }, context)) }
        : referring(backend, refs),
    }
    await callApi(target(), ['secrets'], { method: 'POST', body: jsonBody(manifest), once: true })
    printLines(context.stdout, [`secret/${name} created`])
    return 0
  },
})

interface GivenValues {
  readonly files: readonly string[]
  readonly stdin: string | undefined
  readonly keys: readonly string[]
}

async function readValues(
  { files, stdin, keys }: GivenValues,
  context: CliContext,
): Promise<ReadonlyMap<string, string>> {
  const data = new Map<string, string>()
  for (const given of files) put(data, ...(await fromFile(given, context)))
  if (stdin !== undefined) put(data, stdin, await fromStdin(context))
  for (const key of keys) put(data, key, await ask(key, context))
  if (data.size === 0) throw usage('no key is given', FORM)
  return data
}

function referring(backend: string | undefined, refs: readonly string[]): unknown {
  if (backend === undefined) throw usage('--ref needs the backend that has the value', REF_FORM)
  if (refs.length === 0) throw usage('--backend needs what a value is called there', REF_FORM)
  return { backend, refs: Object.fromEntries(pairs('--ref', refs)) }
}

function put(data: Map<string, string>, key: string, value: string): void {
  if (data.has(key)) throw usage('a key is given twice', 'name each key once')
  if (value === '') throw usage('the value of a key is empty', FORM)
  data.set(key, value)
}

async function fromFile(given: string, context: CliContext): Promise<[string, string]> {
  const at = given.indexOf('=')
  if (at <= 0) throw usage('--from-file is not in its form', 'write it as KEY=PATH')
  const bytes = await readFile(resolve(context.cwd, given.slice(at + 1))).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason'
    throw unavailable(`the file of a key cannot be read (${code})`, 'check the path after KEY=', error)
  })
  return [given.slice(0, at), asText(bytes)]
}

const fromStdin = async (context: CliContext): Promise<string> =>
  asText(await buffer(context.stdin)).replace(/\r?\n$/, '')

function asText(bytes: Buffer): string {
  const value = bytes.toString('utf8')
  if (!Buffer.from(value).equals(bytes))
    throw usage('a value is not UTF-8 text', 'encode it, for example with base64, and store that')
  return value
}

async function ask(key: string, context: CliContext): Promise<string> {
  if (!isTerminal(context))
    throw usage('there is no terminal to ask on', 'use --from-stdin KEY or --from-file KEY=PATH')
  return askHidden(`Value of ${key}`, context)
}
