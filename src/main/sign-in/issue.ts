import { mintSignInCredential } from '../../access/token.ts'
import type { Proven, SignedIn, SignIns } from '../../control/api/sign-ins.ts'
import type { Changes } from '../../control/change/change.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'
import { mintUid } from '../../lib/id.ts'
import { expired } from './expired.ts'
import { SIGN_IN, signInsOf } from './users.ts'

export interface IssueDeps {
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly changes: Pick<Changes, 'bySystem'>
  readonly nowMs: () => number
  /** For how long a sign-in is good. */
  readonly lifeMs: number
}

/** Of one user at once; the oldest makes room. */
const MAX_SIGN_INS = 100

/** A sign-in on a page of ours: nobody is given a credential for it. */
export interface BriefSignIn {
  /** SHA-256 of the credential that nobody has, as the snapshot knows it. */
  readonly digest: string
  readonly expiresAtMs: number
}

export interface Issue extends Pick<SignIns, 'signIn' | 'signOut'> {
  /** @throws Fault `sign_in_refused` */
  signInOnPage(proven: Proven, from: string | undefined, lifeMs: number): Promise<BriefSignIn>
}

export const createIssue = (deps: IssueDeps): Issue => ({
  async signIn(proven, from) {
    const { secret, user, expiresAtMs } = await signIn(deps, proven, { from, lifeMs: deps.lifeMs })
    return { credential: secret, expiresAt: new Date(expiresAtMs).toISOString(), user }
  },
  async signInOnPage(proven, from, lifeMs) {
    const { digest, expiresAtMs } = await signIn(deps, proven, { from, lifeMs })
    return { digest, expiresAtMs }
  },
  async signOut(uid) {
    await deps.changes.bySystem(async (tx) => {
      const found = await tx.findByUid(uid)
      if (found?.resource.kind === 'SignIn') await tx.remove(found)
    })
  },
})

/** The credential, its digest, and what was seen of the user: all of it or nothing. */
async function signIn(
  { changes, snapshot, nowMs }: IssueDeps,
  { method, settle, afterwards }: Proven,
  { from, lifeMs }: { readonly from: string | undefined; readonly lifeMs: number },
): Promise<BriefSignIn & { readonly secret: SignedIn['credential']; readonly user: string }> {
  const { secret, digest, prefix } = mintSignInCredential()
  const done = await changes.bySystem(async (tx) => {
    const user = await settle(tx)
    const { name, uid } = user.resource.metadata
    const expiresAtMs = nowMs() + lifeMs
    const expiresAt = new Date(expiresAtMs).toISOString()
    const spec: SignInSpec = { user: name, userUid: uid, method, from, expiresAt }
    for (const old of signInsOf({ state: snapshot.state }, user).slice(0, 1 - MAX_SIGN_INS)) {
      const found = await tx.findByUid(old.resource.metadata.uid)
      if (found !== undefined) await tx.remove(found)
    }
    await tx.insert(SIGN_IN, {
      // The part of a uid that is random: names are for people to copy.
      name: mintUid(SIGN_IN.uidPrefix, nowMs()).slice(-16),
      spec,
      status: {},
      credential: { digest, prefix, expiresAtMs },
    })
    await tx.observe(user, { lastSignInAt: new Date(nowMs()).toISOString() })
    return { user, signedIn: { secret, digest, expiresAtMs, user: name } }
  })
  await afterwards?.(done.user)
  return done.signedIn
}

/** Ends those whose time is over. */
export async function endExpired({
  changes,
  snapshot,
  nowMs,
}: Pick<IssueDeps, 'changes' | 'snapshot' | 'nowMs'>): Promise<void> {
  const over = [...expired(snapshot, nowMs())]
  for (let from = 0; from < over.length; from += AT_ONCE)
    await changes.bySystem(async (tx) => {
      for (const { resource } of over.slice(from, from + AT_ONCE)) {
        const found = await tx.findByUid(resource.metadata.uid)
        if (found !== undefined) await tx.remove(found)
      }
    })
}

/** In one transaction: others want to change something too. */
const AT_ONCE = 200
