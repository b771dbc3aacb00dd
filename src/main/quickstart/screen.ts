import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Where the quickstart writes: a terminal, or a pipe that gets the same lines without colours and without motion. */
export interface Screen {
  /** A step that takes its time; the seconds run while it does. One at a time. */
  begin(label: string): Step
  /** The step that has begun has failed; does nothing when there is none. */
  failed(): void
  lines(lines: readonly string[]): void
  paint(style: Style, text: string): string
  /** Since the process began: `1.4 s`. */
  seconds(): string
}

export interface Step {
  /** @param text what was done, in place of the label */
  done(text: string): void
}

export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 80
/** Into a pipe a step is announced only if it takes this long: otherwise its end says enough. */
const ANNOUNCE_MS = 3000
/** The column in which the seconds end. */
const WIDTH = 76

export function createScreen(terminal: Terminal, env: Readonly<Record<string, string | undefined>>): Screen {
  const moves = terminal.isTTY === true && env['TERM'] !== 'dumb'
  const coloured = moves && (env['NO_COLOR'] ?? '') === ''
  const paint = (style: Style, text: string): string =>
    coloured ? styleText(style, text, { validateStream: false }) : text
  const width = Math.min(WIDTH, (terminal.columns ?? 80) - 1)
  let open: { readonly label: string; readonly stop: () => string } | undefined

  const line = (mark: string, text: string, seconds: string): string =>
    `  ${mark} ${text}${' '.repeat(Math.max(2, width - 4 - text.length - seconds.length))}${paint('dim', seconds)}`
  const end = (mark: string, text: string): void => {
    const seconds = open?.stop() ?? ''
    open = undefined
    terminal.write(`${moves ? '\r\x1b[K' : ''}${line(mark, text, seconds)}\n`)
  }

  return {
    paint,
    seconds: () => inSeconds(performance.now()),
    begin(label) {
      const began = performance.now()
      const seconds = (): string => inSeconds(performance.now() - began)
      let frame = 0
      const draw = (): void => {
        const mark = paint('cyan', FRAMES[frame++ % FRAMES.length] ?? '')
        terminal.write(`\r\x1b[K${line(mark, label.slice(0, width - 12), seconds())}`)
      }
      if (moves) draw()
      const timer = moves
        ? setInterval(draw, FRAME_MS)
        : setTimeout(() => terminal.write(`  … ${label}\n`), ANNOUNCE_MS)
      open = {
        label,
        stop: () => {
          clearInterval(timer)
          return seconds()
        },
      }
      return { done: (text) => end(paint('green', '✓'), text) }
    },
    failed() {
      if (open !== undefined) end(paint('red', '✗'), open.label)
    },
    lines(lines) {
      terminal.write(`${lines.join('\n')}\n`)
    },
  }
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
