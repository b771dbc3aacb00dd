import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLog } from '../../src/lib/log.ts'
import { openRuntime, type RuntimeOptions } from '../../src/runtime/open-runtime.ts'
import type { Instance, InstanceEnd, InstanceSpec, Runtime } from '../../src/runtime/runtime.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
export const fixtures = join(repository, 'test', 'fixtures')

export interface Place {
  readonly base: string
  readonly home: string
  readonly userHome: string
  remove(): void
}

/** Two homes outside `/tmp` and `/home`, so that it is their own masks that hide them. */
export function makePlace(): Place {
  mkdirSync(join(repository, '.cache'), { recursive: true })
  const base = mkdtempSync(join(repository, '.cache', 'runtime-'))
  const place = { base, home: join(base, 'castle'), userHome: join(base, 'user') }
  mkdirSync(place.home, { mode: 0o700 })
  mkdirSync(place.userHome)
  return { ...place, remove: () => rmSync(base, { recursive: true, force: true }) }
}

export const openAt = async (place: Place, options: Partial<RuntimeOptions> = {}): Promise<Runtime> =>
  openRuntime({
    home: place.home,
    userHome: place.userHome,
    env: { PATH: process.env['PATH'] },
    log: silentLog,
    ...options,
  })

export const specOf = (program: string, more: Partial<InstanceSpec> = {}): InstanceSpec => ({
  server: 'probe',
  key: more.server ?? 'probe',
  command: process.execPath,
  args: [join(fixtures, program), ...(more.args ?? [])],
  env: {},
  mounts: [
    { path: fixtures, access: 'read' },
    { path: dirname(process.execPath), access: 'read' },
  ],
  memoryMiB: 1024,
  messageMiB: 16,
  ...more,
})

interface Answer {
  readonly id: number
  readonly ok?: unknown
  readonly error?: string
}

export interface Probe {
  readonly instance: Instance
  readonly lines: string[]
  readonly ended: Promise<InstanceEnd>
  /** Sends one operation of `stdio-probe.js` and returns its answer. */
  ask(op: string, about?: Record<string, unknown>): Promise<Answer>
  send(op: string, about?: Record<string, unknown>): void
}

export async function startProbe(runtime: Runtime, spec: InstanceSpec): Promise<Probe> {
  const lines: string[] = []
  const waiting = new Map<number, (answer: Answer) => void>()
  const ended = Promise.withResolvers<InstanceEnd>()
  const line = (bytes: Buffer): void => {
    const text = bytes.toString('utf8')
    lines.push(text.slice(0, 200))
    if (!text.startsWith('{')) return
    const answer = JSON.parse(text) as Answer
    waiting.get(answer.id)?.(answer)
  }
  const instance = await runtime.start(spec, { line, ended: ended.resolve })
  let id = 0
  const send = (op: string, about: Record<string, unknown> = {}): number => {
    id += 1
    instance.write(Buffer.from(JSON.stringify({ ...about, id, op })))
    return id
  }
  return {
    instance,
    lines,
    ended: ended.promise,
    send,
    ask: async (op, about) => {
      const answer = Promise.withResolvers<Answer>()
      waiting.set(send(op, about), answer.resolve)
      const end = ended.promise.then((how) => {
        throw new Error(`ended: ${how.message}`)
      })
      return Promise.race([answer.promise, end])
    },
  }
}

export async function waitFor(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`it did not happen: ${what}`)
}

async function tryBubblewrap(): Promise<boolean> {
  const place = makePlace()
  const runtime = await openAt(place)
  await runtime.close()
  place.remove()
  return runtime.sandbox === 'bubblewrap'
}

export const bubblewrapWorks = await tryBubblewrap()
/** Every kind of sandbox that works on this machine. */
export const sandboxes = bubblewrapWorks ? (['bubblewrap', 'reaper'] as const) : (['reaper'] as const)

/** The processes of this machine that have a word in their arguments. */
export function processesWith(mark: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandLine(name).includes(mark))
    .map(Number)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
