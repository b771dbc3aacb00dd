import { randomBytes, timingSafeEqual } from 'node:crypto'
import { Fault } from '../../lib/fault.ts'
import type { SecretValue } from '../../lib/secret-value.ts'

// By name an import fails to link where Node is older than 24.7; here it is looked up when a password is used.
const { argon2 } = process.getBuiltinModule('node:crypto')

/** What argon2id costs. */
interface Cost {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

/** OWASP Password Storage Cheat Sheet: at least 19 MiB, two passes, one lane. */
const COST: Cost = { memoryKiB: 19_456, passes: 2, lanes: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32
/** More at once would take all threads that Node has for files and names, and 19 MiB each. */
const AT_ONCE = 2
/** Beyond these, who asks is told to come again: under a flood the queue would only make everybody wait. */
const MAX_WAITING = 64

/** `rehash`: right, and the hash is weaker than one would be that is made now. */
export type Verdict = 'wrong' | 'right' | 'rehash'

/** Hashes of passwords, as text in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. */
export interface PasswordHasher {
  /** @throws Fault `too_many` when too many wait, `unavailable` where Node has no argon2 */
  hash(password: SecretValue): Promise<string>
  /**
   * Takes as long for a hash that is not there: how long it takes tells nobody whether there is a password.
   *
   * @throws Fault as `hash`
   */
  verify(password: SecretValue, hash: SecretValue | undefined): Promise<Verdict>
}

export function createPasswordHasher(cost: Cost = COST): PasswordHasher {
  const inTurn = createTurns()
  const nobody: Parsed = { cost, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
  return {
    async hash(password) {
      const salt = randomBytes(SALT_BYTES)
      return phc({ cost, salt, hash: await inTurn(() => derive(password, salt, cost)) })
    },
    async verify(password, stored) {
      const known = stored === undefined ? undefined : parse(stored.reveal())
      const against = known ?? nobody
      const hash = await inTurn(() => derive(password, against.salt, against.cost))
      if (!timingSafeEqual(hash, against.hash) || known === undefined) return 'wrong'
      return isWeaker(known.cost, cost) ? 'rehash' : 'right'
    },
  }
}

/** At most so many at once, the others in the order of their coming. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= AT_ONCE) {
      if (waiting.length >= MAX_WAITING)
        throw new Fault('too_many', { hint: 'too many sign-ins at once; try again in a few seconds' })
      // Whoever has ended hands on the turn itself, so nobody comes in between.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}

function derive(password: SecretValue, salt: Buffer, cost: Cost): Promise<Buffer> {
  if (typeof argon2 !== 'function')
    return Promise.reject(
      new Fault('unavailable', {
        hint: 'passwords need Node 24.7 or newer; sign in at an identity provider',
      }),
    )
  const parameters = {
    message: password.reveal(),
    nonce: salt,
    memory: cost.memoryKiB,
    passes: cost.passes,
    parallelism: cost.lanes,
    tagLength: HASH_BYTES,
  }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
}

interface Parsed {
  readonly cost: Cost
  readonly salt: Buffer
  readonly hash: Buffer
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

const phc = ({ cost: { memoryKiB, passes, lanes }, salt, hash }: Parsed): string =>
  `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/

/** It was sealed here, so one that is not as we write it is damaged: nobody signs in with that. */
function parse(text: string): Parsed | undefined {
  const [, memory, passes, lanes, salt = '', hash = ''] = PHC.exec(text) ?? []
  if (memory === undefined) return undefined
  return {
    cost: { memoryKiB: Number(memory), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

const isWeaker = (a: Cost, b: Cost): boolean => a.memoryKiB < b.memoryKiB || a.passes < b.passes
