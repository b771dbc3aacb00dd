import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isLoopback } from '../../lib/loopback.ts'
import { callApi, jsonBody } from '../api.ts'
import { printLines, printText, type CliContext } from '../context.ts'
import { defineCommand, flag, text } from '../define-command.ts'
import { unavailable, usage } from '../failure.ts'
import type { Target } from '../target.ts'

export const keysRotate = defineCommand({
  options: {
    to: text('--to <file>', 'the new key, made with castellan keys new (default: one is made)'),
    keepOld: flag('--keep-old', 'leave the old key beside the new one: backups of before need it'),
    detach: flag('-d, --detach', 'do not wait until every value is sealed anew'),
  },
  about:
    'Nothing stops meanwhile. A daemon that keeps its key in a file or the keychain puts the new one there by itself; for any other source, give the key with --to.',
  examples: ['castellan keys rotate', 'castellan keys rotate --to next.key --keep-old'],
  async run({ options: { to, keepOld, detach }, target, context }) {
    const key = to === undefined ? undefined : await readKey(to, target(), context)
    const answer = await callApi(target(), ['keys', 'rotate'], {
      method: 'POST',
      body: jsonBody({ key, keepOld }),
    })
    const { newKey } = JSON.parse(answer) as { readonly newKey: string }
    printLines(context.stdout, [newKey])
    if (!detach) await untilDone(target(), newKey, context)
    return 0
  },
})

/** A key is one short line. */
const MAX_BYTES = 1024

async function readKey(given: string, { url }: Target, { cwd }: CliContext): Promise<string> {
  if (url.protocol !== 'https:' && !isLoopback(url.hostname))
    throw usage(
      'a key is not sent to another machine in the clear',
      'run this on the machine of the daemon, or name its https address',
    )
  const path = resolve(cwd, given)
  const { mode, size } = await stat(path).catch((cause: Error) => {
    throw unavailable('the file with the key cannot be read', `check --to: ${cause.message}`)
  })
  if ((mode & 0o077) !== 0) throw usage('others may read the file with the key', `run: chmod 600 ${path}`)
  if (size > MAX_BYTES)
    throw usage('the file does not hold a key', 'make one with castellan keys new --out FILE')
  return readFile(path, 'utf8')
}

interface Report {
  readonly daemons: readonly { readonly startsWith: string }[]
  readonly rotation?: { readonly newKey: string; readonly left: number; readonly shut?: number }
}

const ASK_EVERY_MS = 500
/** So often in a row nothing has moved: it waits for people. */
const STILL = 8

/** Ends when nothing is left to do, or what is left only people can do. */
async function untilDone(target: Target, newKey: string, context: CliContext): Promise<void> {
  let left = -1
  let still = 0
  for (;;) {
    const report = JSON.parse(await callApi(target, ['keys'])) as Report
    const { rotation } = report
    if (rotation?.newKey !== newKey) {
      printLines(context.stderr, ['every value is sealed with it; the old key is retired'])
      return
    }
    if (rotation.left !== left && rotation.left > 0)
      printLines(context.stderr, [`${rotation.left} values are to be sealed anew`])
    still = rotation.left === left ? still + 1 : 0
    left = rotation.left
    // What does not open stays as it is until somebody sets it again.
    if (still >= STILL || (left > 0 && rotation.shut === left)) {
      printText(context.stderr, await callApi(target, ['keys'], { query: { output: 'table' } }))
      return
    }
    await sleep(ASK_EVERY_MS)
  }
}
