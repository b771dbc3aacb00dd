import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import { secretsOf } from '../control/snapshot/views.ts'
import { createRedactor } from '../secrets/redact.ts'

/** Takes the secrets that a server was given out of what it writes to its log. Servers like to print their settings. */
export function serverLogRedactor(snapshot: SnapshotSource): (server: string, text: string) => string {
  const byFingerprint = new Map<string, (text: string) => string>()
  return (name, text) => {
    const view = snapshot.current().server(name)
    if (view === undefined) return text
    let redact = byFingerprint.get(view.fingerprint)
    if (redact === undefined) {
      redact = createRedactor(
        secretsOf(view.spec).flatMap(({ name: secret, key }) => snapshot.secretValue(secret, key) ?? []),
      )
      if (byFingerprint.size > 1000) byFingerprint.clear()
      byFingerprint.set(view.fingerprint, redact)
    }
    return redact(text)
  }
}
