import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'

/** A shell that stays open: what one command exports or changes, the next one finds. */
export interface Terminal {
  /** Runs one command to its end. @returns what was printed, and its exit status */
  run(command: string): Promise<{ readonly printed: string; readonly status: number }>
  close(): void
}

const LONGEST_MS = 60_000

export function openTerminal(cwd: string, env: Readonly<Record<string, string | undefined>>): Terminal {
  const shell = spawn('sh', [], { cwd, env: { ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  let printed = ''
  let look = (): void => undefined
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
    look()
  })
  return {
    run(command) {
      // Nobody types: what would ask, is given its input in the command.
      const end = `end-of-${randomUUID()}`
      shell.stdin.write(`{ ${command}\n} </dev/null 2>&1; echo "${end} $?"\n`)
      return new Promise((resolve, reject) => {
        const tooLong = setTimeout(
          () => reject(new Error(`it does not end:\n${command}\n${printed}`)),
          LONGEST_MS,
        )
        look = () => {
          const found = new RegExp(`${end} (\\d+)\\n`).exec(printed)
          if (found === null) return
          clearTimeout(tooLong)
          const before = printed.slice(0, found.index)
          printed = printed.slice(found.index + found[0].length)
          resolve({ printed: before, status: Number(found[1]) })
        }
        look()
      })
    },
    close: () => void shell.stdin.end(),
  }
}
