import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stripVTControlCharacters } from 'node:util'
import { browse } from './guide-browser.ts'

/*
 * Stands in for a person at a real terminal whose browser is on another machine: runs a command, opens the address that
 * it prints, and types the one that the browser ends at. Prints the screen as it was at the end, without what moved
 * on it. `node test/e2e/guide-typist.ts ada castellan grant oauth notes --no-browser`
 */

const [name = '', ...words] = process.argv.slice(2)
const command = words.map((word) => `'${word}'`).join(' ')
// A terminal without a size would break each letter into a line of its own.
const child = spawn('script', ['-qefc', `stty cols 400 rows 40; exec ${command}`, '/dev/null'], {
  stdio: ['pipe', 'pipe', 'inherit'],
})

let screen = ''
let isTyped = false
child.stdout.setEncoding('utf8').on('data', (shown: string) => {
  screen += shown
  const url = /^https?:\S+/m.exec(stripVTControlCharacters(screen))?.[0]
  if (isTyped || url === undefined || !screen.includes('Address that the browser ended at')) return
  isTyped = true
  void end(url).then((address) => child.stdin.write(`${address}\r`))
})

/** The address that leads back to the daemon, which a browser elsewhere cannot load. */
async function end(url: string): Promise<string> {
  const back = new URL(new URL(url).searchParams.get('redirect_uri') ?? '')
  let address = ''
  await browse(url, {
    name,
    password: () => '',
    cannotLoad(to) {
      if (to.origin === back.origin) address = to.href
      return address !== ''
    },
  })
  return address
}

const [status] = (await once(child, 'close')) as [number | null]
const lines = stripVTControlCharacters(screen.replaceAll('\r\n', '\n')).split(/[\r\n]+/)
process.stdout.write(`${lines.join('\n')}\n`)
process.exitCode = status ?? 1
