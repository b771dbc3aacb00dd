import { createHmac } from 'node:crypto'
import type { PasswordHasher } from '../../access/sign-in/password-hash.ts'
import { preparePassword, prepareNewPassword } from '../../access/sign-in/password-rules.ts'
import type { Throttle } from '../../access/sign-in/throttle.ts'
import type {
  PasswordChange,
  PasswordTry,
  Proven,
  SignInRefusal,
  SignIns,
} from '../../control/api/sign-ins.ts'
import type { Changes } from '../../control/change/change.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { Stored } from '../../control/stored.ts'
import { Fault } from '../../lib/fault.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { listSealed } from '../../store/sealed.ts'
import type { ControlDb } from '../../store/tables.ts'
import { changedMeanwhile, specOf, statusOf, userNamed, wrongPassword } from './users.ts'

export interface PasswordDeps {
  readonly db: ControlDb
  readonly sealer: Pick<Sealer, 'open'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly changes: Pick<Changes, 'bySystem'>
  readonly hasher: PasswordHasher
  readonly throttle: Throttle
  /** Digests the names of accounts: what is not a name cannot be guessed from it. */
  readonly key: Buffer
}

const FIELD = 'password'
/** Stands for a user who is not there, so that looking for it takes as long. */
const NOBODY = 'usr_00000000000000000000000000'
const METHOD = 'password'

/** A password that was found to be right. */
interface Checked {
  readonly user: Stored
  /** The very hash it was compared with. */
  readonly mark: string
  /** To be kept instead of that. */
  readonly stronger: SecretValue | undefined
}

export function createPasswords(deps: PasswordDeps): Pick<SignIns, 'byPassword' | 'setPassword'> {
  return {
    async byPassword(given) {
      const checked = await check(deps, given)
      return checked.ok ? ok(provenBy(checked.value)) : checked
    },
    setPassword: (change) => setPassword(deps, change),
  }
}

/**
 * The same steps take the same time whether there is such a user, with a password, or disabled: one look into the
 * database, one hash.
 */
async function check(deps: PasswordDeps, given: PasswordTry): Promise<Result<Checked, SignInRefusal>> {
  const name = given.user.normalize('NFKC').toLowerCase()
  const account = createHmac('sha256', deps.key).update(name).digest('base64url').slice(0, 22)
  const refuse = (reason: string, fault: Fault): Result<never, SignInRefusal> =>
    err({ method: METHOD, reason, account, fault })
  const turn = deps.throttle.attempt({ source: given.source, account })
  if (!turn.granted) return refuse('throttled', tooMany(turn.retryAfterSeconds))
  const user = userNamed(deps.snapshot, name)
  const isActive = user !== undefined && !specOf(user).disabled
  const uid = isActive ? user.resource.metadata.uid : NOBODY
  const row = (await listSealed(deps.db, uid)).find(({ field }) => field === FIELD)
  const hash = row === undefined ? undefined : deps.sealer.open({ kind: 'User', uid, field: FIELD }, row)
  const prepared = preparePassword(given.password)
  const password = prepared.ok ? prepared.value : new SecretValue(' ')
  const verdict = await deps.hasher.verify(password, hash)
  if (verdict === 'wrong' || !prepared.ok || user === undefined || row === undefined)
    return refuse(reasonOf(user), wrongPassword())
  turn.succeeded()
  return ok({
    user,
    mark: row.nonce,
    stronger: verdict === 'rehash' ? new SecretValue(await deps.hasher.hash(password)) : undefined,
  })
}

/** For the record: what the answer must not tell. */
function reasonOf(user: Stored | undefined): string {
  if (user === undefined) return 'unknown'
  if (specOf(user).disabled) return 'owner-gone'
  return statusOf(user).password ? 'wrong-password' : 'no-password'
}

const tooMany = (retryAfterSeconds: number): Fault =>
  new Fault('too_many', {
    hint: `too many sign-ins that failed; try again in ${retryAfterSeconds} s`,
    retryAfterSeconds,
  })

const provenBy = ({ user, mark, stronger }: Checked): Proven => ({
  user: { name: user.resource.metadata.name, uid: user.resource.metadata.uid },
  method: METHOD,
  isFirst: false,
  async settle(tx) {
    const now = await tx.findByUid(user.resource.metadata.uid)
    // With the password that was changed a moment ago nobody gets in.
    if (now === undefined || specOf(now).disabled || (await tx.sealedMark(now, FIELD)) !== mark)
      throw changedMeanwhile()
    if (stronger !== undefined) await tx.seal(now, FIELD, stronger)
    return now
  },
})

async function setPassword(
  deps: PasswordDeps,
  { user, password, current, keep }: PasswordChange,
): Promise<void> {
  const { name, uid } = user.resource.metadata
  const prepared = prepareNewPassword(password, name)
  if (!prepared.ok)
    throw new Fault('invalid', { problems: [`password: ${prepared.error}`], hint: 'nothing was changed' })
  const checked = current === undefined ? undefined : await check(deps, { user: name, ...current })
  if (checked?.ok === false) throw asProblem(checked.error.fault)
  const hash = new SecretValue(await deps.hasher.hash(prepared.value))
  await deps.changes.bySystem(async (tx) => {
    const now = await tx.findByUid(uid)
    const isSame = checked === undefined || (now && (await tx.sealedMark(now, FIELD))) === checked.value.mark
    if (now === undefined || !isSame)
      throw new Fault('conflict', { hint: 'the user was changed in the meantime; repeat the change' })
    await tx.seal(now, FIELD, hash)
    await tx.observe(now, { password: true })
    for (const signIn of await tx.signInsOf(uid))
      if (signIn.resource.metadata.uid !== keep) await tx.remove(signIn)
  })
}

/** Whoever changes a password is known already, so a wrong one is a wrong field. */
const asProblem = (fault: Fault): Fault =>
  fault.code === 'too_many'
    ? fault
    : new Fault('invalid', {
        problems: ['current: is not the present password'],
        hint: 'nothing was changed',
      })
