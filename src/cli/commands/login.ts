import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { stronger } from '../contexts/stronger.ts'
import { choice, defineCommand, flag, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { signInByBrowser } from '../login/by-browser.ts'
import { signInByPassword } from '../login/by-password.ts'
import { keepSignIn } from '../login/keep-sign-in.ts'
import { loginPlace } from '../login/login-place.ts'
import { warnIfNotEncrypted } from '../not-encrypted.ts'
import { type Target } from '../target.ts'

export const login = defineCommand({
  options: {
    url: text('--url <url>', 'the address of the daemon (default: that of the context, or of the home)'),
    user: text('--user <name>', 'sign in with the password of this user'),
    provider: text('--provider <name>', 'sign in at this identity provider'),
    noBrowser: flag(
      '--no-browser',
      'the browser is on another machine: show the address, and take a code by hand',
    ),
    keepIn: choice(
      '--keep-in <where>',
      'where the credential is kept (default: the keychain, where there is one)',
      ['keychain', 'file'],
    ),
  },
  globals: ['context', 'home'],
  about:
    'Makes a context for the daemon, or takes the one that there is, and puts it to use. Without --user and --provider the daemon is asked how people sign in there. A password is typed, or comes on standard input.',
  examples: [
    'castellan login --url https://castellan.example.com',
    'castellan login --url https://castellan.example.com --context work --provider company',
    'castellan login --no-browser',
    'pass show castellan | castellan login --user ada',
  ],
  async run({ options: given, globals, context }) {
    if (given.user !== undefined && given.provider !== undefined)
      throw usage('a password and a provider are two ways to sign in', 'give either --user or --provider')
    const place = loginPlace(context, { url: given.url, globals })
    const target = { url: new URL(place.url), credential: undefined }
    warnIfNotEncrypted(target, context)
    const provider = given.provider ?? (given.user === undefined ? await providerOf(target) : undefined)
    const signedIn =
      provider === undefined
        ? await signInByPassword(target, given.user, context)
        : await signInByBrowser(target, { provider, noBrowser: given.noBrowser }, context)
    const where = await keepSignIn(place, signedIn, { keepIn: given.keepIn, context })
    printLines(context.stdout, [`signed in as ${signedIn.user} until ${signedIn.expiresAt}`])
    printLines(context.stderr, [
      `context ${place.name} is in use; castellan config use-context home goes back to this machine`,
      `the credential is kept in ${where}`,
      ...stronger(context, place.name),
    ])
    return 0
  },
})

interface Ways {
  readonly providers: readonly { readonly name: string }[]
  readonly passwords: boolean
}

/** The one provider that there is; undefined: passwords. */
async function providerOf(target: Target): Promise<string | undefined> {
  const { providers, passwords } = JSON.parse(await callApi(target, ['auth', 'providers'])) as Ways
  const [first, ...more] = providers.map(({ name }) => name)
  if (first === undefined) return undefined
  if (more.length === 0 && !passwords) return first
  const ways = [
    ...[first, ...more].map((name) => `--provider ${name}`),
    ...(passwords ? ['--user NAME'] : []),
  ]
  throw usage('there are several ways to sign in here', `choose one: castellan login ${ways.join(', or ')}`)
}
