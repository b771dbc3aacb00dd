/**
 * Guards a local daemon against pages that a browser has open (DNS rebinding): `Host` must be a name of ours, and
 * `Origin`, where there is one, must be of the same kind (MCP, Streamable HTTP security; design law 9 of the edge).
 */
export interface HostCheck {
  hostAllowed(host: string | undefined): boolean
  originAllowed(origin: string | undefined): boolean
}

/** @param names further host names under which the daemon is known, without port */
export function createHostCheck(names: readonly string[]): HostCheck {
  const allowed = new Set(['localhost', '127.0.0.1', '[::1]', ...names.map((name) => name.toLowerCase())])
  const hosts = new Set<string>()

  function hostAllowed(host: string | undefined): boolean {
    if (host === undefined) return false
    if (hosts.has(host)) return true
    const name = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1]
    if (name === undefined || !(allowed.has(name) || /^127(?:\.\d{1,3}){3}$/.test(name))) return false
    if (hosts.size < 64) hosts.add(host)
    return true
  }

  return {
    hostAllowed,
    originAllowed(origin) {
      if (origin === undefined) return true
      const match = /^https?:\/\/([^/]+)$/.exec(origin)
      return match?.[1] !== undefined && hostAllowed(match[1])
    },
  }
}
