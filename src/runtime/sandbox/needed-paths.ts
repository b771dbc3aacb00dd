import { basename, dirname, join, relative, sep } from 'node:path'
import { interpreterOf, locateCommand } from './locate-command.ts'
import { depthOf, isWithin, kindOf, linkChain } from './paths.ts'

/** How deep interpreters of interpreters are followed: a script, its `env`, a launcher, the program. */
const MAX_INTERPRETERS = 4

/**
 * What must be readable for a hidden program to start: for every link on the way to it, and to the interpreter that
 * its first line names, the smallest folder that is a unit of installation.
 *
 * | where the link or file lies | what is needed |
 * |---|---|
 * | below a `node_modules` | the outermost `node_modules` |
 * | `<prefix>/bin/` of an installation: a Python or conda environment, or at least two levels below the home with a `lib` and no `.git` | the prefix |
 * | any other `bin/` | that folder |
 * | a package that a `node_modules` links to | the folder of its `package.json` |
 * | anywhere else | the file |
 *
 * Never a home itself.
 *
 * @param program absolute path
 * @param hiddenHome the home (or other hidden folder) that a path lies in; undefined where the path can be seen
 */
export function neededPaths(
  program: string,
  search: { readonly path: string; readonly cwd: string },
  hiddenHome: (path: string) => string | undefined,
): readonly string[] {
  const needed = new Set<string>()
  let next: string | undefined = program
  for (let i = 0; next !== undefined && i < MAX_INTERPRETERS; i++) {
    const chain = linkChain(next)
    let linked = false
    for (const path of chain) {
      const home = hiddenHome(path)
      if (home !== undefined && ![...needed].some((seen) => isWithin(path, seen))) {
        needed.add(unitOf(path, home, linked))
      }
      linked ||= path.includes(`${sep}node_modules${sep}`)
    }
    const file = chain.at(-1)
    const interpreter = file === undefined ? undefined : interpreterOf(file)
    const located =
      interpreter === undefined ? undefined : locateCommand(interpreter, search.path, search.cwd)
    next = located?.ok === true ? located.value : undefined
  }
  return [...needed]
}

function unitOf(path: string, home: string, linked: boolean): string {
  const parts = relative(home, path).split(sep)
  const modules = parts.indexOf('node_modules')
  if (modules !== -1) return join(home, ...parts.slice(0, modules + 1))
  const folder = dirname(path)
  if (/^s?bin$/.test(basename(folder)) && folder !== home) {
    const prefix = dirname(folder)
    return isInstallation(prefix, home) ? prefix : folder
  }
  return (linked ? packageOf(folder, home) : undefined) ?? path
}

function isInstallation(prefix: string, home: string): boolean {
  if (prefix === home || !isWithin(prefix, home) || kindOf(join(prefix, '.git')) !== undefined) return false
  if (kindOf(join(prefix, 'pyvenv.cfg')) !== undefined || kindOf(join(prefix, 'conda-meta')) !== undefined) {
    return true
  }
  const library = ['lib', 'lib64', 'libexec'].some((name) => kindOf(join(prefix, name)) === 'directory')
  return library && depthOf(prefix) - depthOf(home) >= 2
}

function packageOf(folder: string, home: string): string | undefined {
  for (let at = folder; at !== home && isWithin(at, home); at = dirname(at)) {
    if (kindOf(join(at, 'package.json')) === 'file') return at
  }
  return undefined
}
