import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createScanner, type Scanner } from './canary-scan.ts'
import {
  castellan,
  daemonOf,
  freshFolder,
  removeFolder,
  send,
  type Answer,
  type RunOptions,
  type Said,
  type Sending,
} from './system-harness.ts'

/** A daemon that is driven as people and programs drive it, with everything kept that came out. */
export interface Stage {
  readonly home: string
  readonly scanner: Scanner
  readonly url: string
  /** A value that is nowhere else. @param head what one of that provider begins with */
  plant(label: string, head?: string): string
  /** What came out somewhere; looked through when it is asked what was found. */
  observe(where: string, text: string, except?: readonly string[]): void
  run(args: readonly string[], options?: RunOptions & { readonly shows?: readonly string[] }): Promise<Said>
  http(path: string, sending?: Sending, shows?: readonly string[]): Promise<Answer>
  /** The control API as the local admin. */
  admin(method: string, path: string, body?: unknown, shows?: readonly string[]): Promise<Answer>
  /** Each place and secret of what was observed since, once; or of all of it, with the secrets that are known by now. */
  found(which?: 'all'): string[]
  close(): Promise<void>
}

/** @param options of `castellan up` */
export async function startStage(options: RunOptions, args: readonly string[] = []): Promise<Stage> {
  const home = freshFolder()
  const scanner = createScanner()
  const seen: { readonly where: string; readonly text: string; readonly except: readonly string[] }[] = []
  let looked = 0
  const observe: Stage['observe'] = (where, text, except = []) => void seen.push({ where, text, except })
  const run: Stage['run'] = async (line, { shows, ...given } = {}) => {
    const said = await castellan(line, { home, ...given })
    observe(`castellan ${line.join(' ').slice(0, 80)}`, said.stdout, shows)
    observe(`castellan ${line.join(' ').slice(0, 80)} (stderr)`, said.stderr, shows)
    return said
  }
  const http: Stage['http'] = async (path, sending = {}, shows = []) => {
    const answer = await send(`${daemonOf(home).url}${path}`, sending)
    const text = `${JSON.stringify(answer.headers)}\n${answer.text}`
    observe(`${sending.method ?? 'GET'} ${path.slice(0, 80)} ${sending.body?.slice(0, 60)}`, text, shows)
    return answer
  }
  const up = ['up', '-d', '--port', '0', '--log-level', 'trace', ...args]
  const started = await run(up, options)
  if (started.status !== 0) throw new Error(`the daemon does not start: ${started.stderr}`)
  const credential = (): string => readFileSync(join(home, 'admin-credential'), 'utf8').trim()
  scanner.plant('admin', credential())
  return {
    home,
    scanner,
    get url() {
      return daemonOf(home).url
    },
    plant(label, head = '') {
      const value = `${head}k/${randomBytes(24).toString('base64url')}+=`
      scanner.plant(label, value)
      return value
    },
    observe,
    run,
    http,
    admin: (method, path, body, shows) =>
      http(
        path,
        {
          method,
          headers: { authorization: `Bearer ${credential()}`, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        },
        shows,
      ),
    found: (which) => [
      ...new Set(
        seen
          .slice(which === 'all' ? 0 : looked, (looked = seen.length))
          .flatMap(({ where, text, except }) =>
            scanner.look(where, text, except).map(([at, label, form]) => `${label} (${form}): ${at}`),
          ),
      ),
    ],
    async close() {
      await castellan(['down', '--force'], { home })
      removeFolder(home)
    },
  }
}
