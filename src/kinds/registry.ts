import type { KindDefinition } from './define-kind.ts'
import { Group } from './group.ts'
import { IdentityProvider } from './identity-provider.ts'
import { Instance } from './instance.ts'
import { Project } from './project.ts'
import { RoleBinding } from './role-binding.ts'
import { Secret } from './secret.ts'
import { Server } from './server.ts'
import { ServiceAccount } from './service-account.ts'
import { SignIn } from './sign-in.ts'
import { Template } from './template.ts'
import { Token } from './token.ts'
import { User } from './user.ts'

/** Every kind there is, in the order of `apply`. Adding one: its file, and a line here. */
export const KINDS: readonly KindDefinition[] = (
  [
    User,
    ServiceAccount,
    Group,
    Secret,
    IdentityProvider,
    Server,
    Project,
    Token,
    RoleBinding,
    SignIn,
    Template,
    Instance,
  ] as unknown as KindDefinition[]
).sort((a, b) => a.applyOrder - b.applyOrder)

const BY_WORD = new Map(
  KINDS.flatMap((kind) =>
    [kind.kind, kind.kind.toLowerCase(), kind.plural, ...kind.short].map((word) => [word, kind] as const),
  ),
)

/** @param word kind, plural or short name, as a user types it */
export const findKind = (word: string): KindDefinition | undefined =>
  BY_WORD.get(word) ?? BY_WORD.get(word.toLowerCase())
