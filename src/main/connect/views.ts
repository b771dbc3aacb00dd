import type { Answer } from '../http-front.ts'
import type { Field, Provider } from '../../grants/providers/define-provider.ts'
import { html, type Html } from './html.ts'
import type { Offer, Way } from './offer.ts'
import { render } from './page.ts'

/* What people see. Everything that comes from elsewhere is escaped by `html`. */

/** What every form of ours brings back. */
const hidden = (mark: string, act: string): Html =>
  html`<input type="hidden" name="mark" value="${mark}" /><input type="hidden" name="do" value="${act}" />`

/** Read out as soon as the page is there. */
const alerting = (problems: readonly string[]): Html | undefined =>
  problems.length === 0
    ? undefined
    : html`<div class="bad" role="alert">
        ${problems.map((problem) => html`<p>${sentence(problem)}</p>`)}
      </div>`

const sentence = (text: string): string => {
  const begun = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}

export interface Ways {
  readonly passwords: boolean
  readonly providers: readonly string[]
}

export interface SigningIn {
  readonly ways: Ways
  readonly problems: readonly string[]
  readonly status: number
}

export function signInPage(mark: string, { ways, problems, status }: SigningIn): Answer {
  const { passwords, providers } = ways
  const byPassword = html`<form method="post">
    ${hidden(mark, 'password')}
    <label for="user">User</label>
    <input id="user" name="user" autocomplete="username" autocapitalize="none" spellcheck="false" required />
    <label for="password">Password</label>
    <input id="password" name="password" type="password" autocomplete="current-password" required />
    <button>Sign in</button>
  </form>`
  const atProvider = providers.map(
    (name) =>
      html`<form method="post">
        ${hidden(mark, 'provider')}<input type="hidden" name="provider" value="${name}" />
        <button class="${passwords ? 'other' : ''}">Sign in with ${name}</button>
      </form>`,
  )
  const nobody = html`<p>
    Nobody can sign in here yet: there is no identity provider, and no user has a password. An administrator
    sets one with <code>castellan set-password NAME</code>.
  </p>`
  return render({
    status,
    hasForms: true,
    title: 'Sign in to Castellan',
    body: html`${alerting(problems)}
      <p>
        This link leads to where you connect an account of yours, so that your agent can use it without ever
        seeing it. It works for the person it was made for, and for nobody else.
      </p>
      ${passwords ? byPassword : undefined}${atProvider}${passwords || providers.length > 0 ? undefined : nobody}`,
  })
}

export interface Consent {
  readonly mark: string
  readonly offer: Offer
  readonly way: Way
  /** Of Castellan. */
  readonly account: string
  /** Somebody who can become somebody else. */
  readonly canLeave: boolean
  readonly problems: readonly string[]
  readonly status: number
}

export function consentPage({ mark, offer, way, account, canLeave, problems, status }: Consent): Answer {
  const { server, origin, description, isConnected } = offer
  return render({
    status,
    hasForms: true,
    title: `Connect an account for ${server}`,
    body: html`${alerting(problems)}
      ${isConnected ? html`<p>One is connected already. Another one takes its place.</p>` : undefined}
      <dl>
        ${row('Server', html`<bdi>${server}</bdi> at <bdi>${origin}</bdi>`)}
        ${description === undefined ? undefined : row('What it is', html`<bdi>${description}</bdi>`)}
        ${row('For your account of Castellan', html`<bdi>${account}</bdi>`)}
        ${way.kind === 'authorize' ? authorizeRows(way) : undefined}
      </dl>
      ${step(mark, offer, way)}
      <p class="soft">
        Only calls of your own carry it, and only to ${origin}. No agent sees it. Go on if you have just asked
        for this yourself; if somebody has sent you here, close this page.
      </p>
      ${canLeave ? leave(mark, 'Not you? Sign in as somebody else') : undefined}`,
  })
}

const row = (name: string, value: Html): Html =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`

function authorizeRows({ issuer, scopes }: Extract<Way, { kind: 'authorize' }>): Html {
  const list = html`<ul>
    ${scopes.map((scope) => html`<li><bdi>${scope}</bdi></li>`)}
  </ul>`
  return html`${row('You sign in there at', html`<bdi>${issuer}</bdi>`)}${row(
    'It will be asked for',
    scopes.length === 0 ? html`what it gives by itself` : list,
  )}`
}

function step(mark: string, { server }: Offer, way: Way): Html {
  switch (way.kind) {
    case 'authorize':
      return html`<form method="post">
        ${hidden(mark, 'connect')}<button>Continue to ${new URL(way.issuer).host}</button>
      </form>`
    case 'give':
      return html`<form method="post" autocomplete="off">
        ${hidden(mark, 'connect')}${way.provider.fields.map((field) => fieldOf(field, way.provider))}
        <button>Connect</button>
      </form>`
    case 'none':
      return html`<div class="bad" role="alert">
          <p>${server} cannot be connected at the moment: ${way.why}</p>
        </div>
        <form method="get"><button class="other">Try again</button></form>`
    default:
      return way satisfies never
  }
}

function fieldOf(
  { name, prompt, secret, optional, shape }: Field,
  { oneOf, fields }: Pick<Provider, 'oneOf' | 'fields'>,
): Html {
  const others = fields.filter((field) => oneOf.includes(name) && oneOf.includes(field.name))
  const hint = [
    optional && others.length === 0 ? 'Can be left out.' : '',
    others.length > 1 ? `Give one of these: ${others.map((field) => field.prompt).join(', ')}.` : '',
    shape === undefined ? '' : sentence(shape.hint),
  ]
    .filter((part) => part !== '')
    .join(' ')
  const about = hint === '' ? undefined : html` aria-describedby="about-${name}"`
  return html`<label for="value-${name}">${prompt}</label>
    <input
      id="value-${name}"
      name="value.${name}"
      type="${secret ? 'password' : 'text'}"
      autocomplete="off"
      autocapitalize="none"
      spellcheck="false"
      ${about}${optional ? undefined : html` required`}
    />
    ${hint === '' ? undefined : html`<p class="soft" id="about-${name}">${hint}</p>`}`
}

const leave = (mark: string, text: string): Html =>
  html`<form method="post">${hidden(mark, 'sign-out')}<button class="other">${text}</button></form>`

export const connectedPage = ({ server, origin, key }: Offer, account: string): Answer =>
  render({
    title: 'Connected',
    body: html`<p>
        Your account for <bdi>${server}</bdi> is connected. You can close this page and go back to your agent.
      </p>
      <dl>
        ${row('Server', html`<bdi>${server}</bdi> at <bdi>${origin}</bdi>`)}
        ${row('For your account of Castellan', html`<bdi>${account}</bdi>`)}
      </dl>
      <p class="soft">
        <code>castellan grant list --mine</code> shows what you have connected;
        <code>castellan revoke ${key.name} --mine</code> ends this one.
      </p>
      <p><a href="?again">Connect another account in its place</a></p>`,
  })

/** It goes on at another site; the link is for browsers that do not follow by themselves. */
export const leadOn = (url: string): Answer =>
  render({
    title: 'One moment',
    goTo: url,
    body: html`<p>It goes on at ${new URL(url).host}.</p>
      <a class="act" href="${url}">Continue to ${new URL(url).host}</a>`,
  })

export const somebodyElse = (mark: string): Answer =>
  render({
    status: 403,
    hasForms: true,
    title: 'This link is for somebody else',
    body: html`<p>
        It was made for another person than the one who is signed in here. Ask your own agent for a link of
        your own.
      </p>
      ${leave(mark, 'Sign in as somebody else')}`,
  })

export const notYours = (mark: string, ways: Ways): Answer =>
  signInPage(mark, {
    ways,
    problems: ['this link was made for somebody else; ask your own agent for a link of your own'],
    status: 403,
  })

const problemPage = (status: number, title: string, why: readonly Html[]): Answer =>
  render({ status, title, body: html`${why.map((one) => html`<p>${one}</p>`)}` })

export const brokenLink = (): Answer =>
  problemPage(404, 'This link does not work', [
    html`It was not copied as a whole, or comes from another Castellan. Take it from your agent once more.`,
  ])

export const oldLink = (): Answer =>
  problemPage(410, 'This link is too old', [
    html`A link is good for ten minutes. Go back to your agent and have it try again: it gives you another
    one.`,
  ])

export const goneServer = (): Answer =>
  problemPage(410, 'There is nothing to connect', [
    html`The server that this link was for is not there any more, or takes no accounts of people. Go back to
    your agent.`,
  ])

export const awayPage = (): Answer =>
  problemPage(403, 'This link works on another machine', [
    html`It is for the administrator of the host: open it in a browser on the machine where Castellan runs, at
    its loopback address.`,
    html`From here, sign in as a user of your own instead: <code>castellan login</code>.`,
  ])

/** @param at where to begin again */
export const stalePage = (at: string): Answer =>
  problemPage(403, 'This page is not up to date', [
    html`Nothing was changed. It was opened in another browser, or has been lying here for long; your browser
    has to take cookies of this site.`,
    html`<a href="${at}">Open it again</a>`,
  ])

export const wrongMethod = (): Answer => {
  const page = problemPage(405, 'This is a page', [html`It is opened in a browser.`])
  return Object.assign({}, page, { headers: Object.assign({ allow: 'GET, HEAD, POST' }, page.headers) })
}

/** @param why public sentences @param next `at`: where to begin again */
export const failed = (
  title: string,
  why: readonly string[],
  { at, status }: { readonly at: string; readonly status: number },
): Answer =>
  problemPage(status, title, [
    ...why.map((one) => html`${sentence(one)}`),
    html`<a href="${at}">Try again</a>`,
  ])

export const faultPage = (status: number, why: readonly string[]): Answer =>
  problemPage(
    status,
    'That did not work',
    why.map((one) => html`${sentence(one)}`),
  )

/** At the end of an authorization that a command line has started. */
export const authorizedPage = (name: string): Answer =>
  render({
    title: 'Authorized',
    body: html`<p>The grant ${name} is authorized. This page can be closed.</p>`,
  })

/** Whoever makes up an address does not find a part of it on a page of ours. */
export const notAuthorizedPage = (why: string): Answer =>
  problemPage(400, 'Not authorized', [
    html`This grant is not authorized: ${why}.`,
    html`If you have only loaded the page again, nothing has changed: <code>castellan grant list</code> says
      how the grant stands.`,
  ])
