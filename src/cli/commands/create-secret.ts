import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { callApi, jsonBody } from '../api.ts'
import { askHidden, isTerminal } from '../ask.ts'
import { printLines, type CliContext } from '../context.ts'
import { defineCommand, list, text } from '../define-command.ts'
import { unavailable, usage } from '../failure.ts'

const FORM =
  'castellan create secret NAME --from-file KEY=PATH, or --from-stdin KEY, or KEY alone to be asked'

export const createSecret = defineCommand({
  arguments: ['<name>', '[keys...]'],
  options: {
    fromFile: list('--from-file <KEY=PATH>', 'take the value of a key from a file, as it is; repeatable'),
    fromStdin: text(
      '--from-stdin <KEY>',
      'take the value of a key from standard input, without its last newline',
    ),
    fromLiteral: list('--from-literal <KEY>', 'refused: arguments can be read by every user of the machine'),
  },
  about:
    'A value is asked for without showing it, or comes from a file or standard input. It never stands in an argument.',
  examples: [
    'castellan create secret context7 key',
    'castellan create secret github --from-file token=./github.token',
    'pass show github | castellan create secret github --from-stdin token',
  ],
  async run({ args: [name = '', ...keys], options, target, context }) {
    if (options.fromLiteral.length > 0 || keys.some((key) => key.includes('=')))
      throw usage(
        'a secret value may not stand in an argument; this one should be replaced where it is valid',
        FORM,
      )
    const data = new Map<string, string>()
    for (const given of options.fromFile) put(data, ...(await fromFile(given, context)))
    if (options.fromStdin !== undefined) put(data, options.fromStdin, await fromStdin(context))
    for (const key of keys) put(data, key, await ask(key, context))
    if (data.size === 0) throw usage('no key is given', FORM)
    const manifest = {
      apiVersion: 'castellan/v1',
      kind: 'Secret',
      metadata: { name },
      spec: { data: Object.fromEntries(data) },
    }
    await callApi(target(), ['secrets'], { method: 'POST', body: jsonBody(manifest), once: true })
    printLines(context.stdout, [`secret/${name} created`])
    return 0
  },
})

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
