import { spawn } from 'node:child_process'
import type { CliContext } from '../context.ts'

/** What opens an address on each system, without a shell in between. */
const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}

/**
 * Whether a browser that is opened here is one that its user sees: not over ssh, and not without a display.
 */
export function hasBrowser({ env }: Pick<CliContext, 'env'>): boolean {
  const isSet = (name: string): boolean => (env[name] ?? '') !== ''
  if (isSet('BROWSER')) return true
  if (isSet('SSH_CONNECTION') || isSet('SSH_TTY')) return false
  return (
    process.platform in OPENERS || isSet('DISPLAY') || isSet('WAYLAND_DISPLAY') || isSet('WSL_DISTRO_NAME')
  )
}

/**
 * Opens an address in the browser of the user: `BROWSER`, else what the system has for it. Nobody waits for it, and
 * that it cannot be opened is no failure: the address is on the screen, too.
 */
export function openBrowser(url: URL, { env }: Pick<CliContext, 'env'>): void {
  const [command = '', ...words] = wordsOf(env['BROWSER'] ?? '') ?? OPENERS[process.platform] ?? ['xdg-open']
  const given = words.some((word) => word.includes('%s'))
    ? words.map((word) => word.replace('%s', url.href))
    : [...words, url.href]
  const child = spawn(command, given, { detached: true, stdio: 'ignore', env: { ...env } })
  child.on('error', () => undefined)
  child.unref()
}

/** The first of those that `BROWSER` lists; one with `%s` in it has arguments of its own. */
function wordsOf(browser: string): readonly string[] | undefined {
  const [first = ''] = process.platform === 'win32' ? [browser] : browser.split(':')
  if (first === '') return undefined
  return first.includes('%s') ? first.split(' ').filter((word) => word !== '') : [first]
}
