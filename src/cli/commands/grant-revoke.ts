import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { grantWord } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf, queryOf } from '../granting/holder-options.ts'

/** `castellan grant revoke`, and `castellan revoke` of a grant. */
const revokeAs = (verb: string) =>
  defineCommand({
    arguments: ['<grant>'],
    complete: [{ namesOf: 'grants' }],
    options: HOLDER_OPTIONS,
    about:
      'It is used no more, at once. Where its issuer can be told (RFC 7009), it is taken back there, too; the answer says whether it was.',
    examples: [`castellan ${verb} oauth:notion`, `castellan ${verb} github --mine`],
    async run({ args: [given = ''], options, target, context }) {
      const name = grantWord(given)
      const answer = await callApi(target(), ['grants', name], {
        method: 'DELETE',
        query: queryOf(holderOf(options)),
      })
      const { revoked } = JSON.parse(answer) as { readonly revoked: boolean }
      printLines(context.stdout, [`${name} forgotten`])
      printLines(context.stderr, [revoked ? 'its issuer has taken it back' : NOT_TOLD])
      return 0
    },
  })

const NOT_TOLD =
  'its issuer was not told: there is no way for that, or it refused; where it can be used elsewhere, remove it there'

export const grantRevoke = revokeAs('grant revoke')
export const revoke = revokeAs('revoke')
