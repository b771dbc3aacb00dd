/** `*` any run of characters, `?` one, everything else itself; compiled once, matched without backtracking traps. */
export function compileGlobs(globs: readonly string[]): (name: string) => boolean {
  const exact = new Set(globs.filter((glob) => !/[*?]/.test(glob)))
  const patterns = globs.filter((glob) => /[*?]/.test(glob))
  return (name) => exact.has(name) || patterns.some((pattern) => matches(pattern, name))
}

/** Greedy with one point of return: linear in practice, quadratic at worst, never exponential. */
function matches(pattern: string, name: string): boolean {
  let p = 0
  let n = 0
  let star = -1
  let resume = 0
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = n
    } else if (pattern[p] === '?' || pattern[p] === name[n]) {
      p++
      n++
    } else if (star >= 0) {
      p = star + 1
      n = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** Whether a glob fits any name that begins so. */
export function fitsSomeWith(glob: string, prefix: string): boolean {
  const star = glob.indexOf('*')
  const fixed = star < 0 ? glob : glob.slice(0, star)
  if (star < 0 && glob.length < prefix.length) return false
  return matches(fixed.slice(0, prefix.length), prefix.slice(0, fixed.length))
}

/** Allow and deny lists as one predicate: `deny` wins, an absent `allow` allows all. */
export function compileFilter(filter: {
  readonly allow?: readonly string[] | undefined
  readonly deny: readonly string[]
}): (name: string) => boolean {
  const denied = compileGlobs(filter.deny)
  if (filter.allow === undefined) return filter.deny.length === 0 ? () => true : (name) => !denied(name)
  const allowed = compileGlobs(filter.allow)
  return (name) => allowed(name) && !denied(name)
}
