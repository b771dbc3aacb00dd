import { hash } from 'node:crypto'
import type { Answer } from '../http-front.ts'
import { html, type Html } from './html.ts'

/** The style of all pages: readable in the light and in the dark, on a telephone, and without any script. */
const STYLE = `
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--paper:#fff;--ground:#f4f4f1;--line:#d9d9d4;--act:#1f4d8f;--on-act:#fff;--bad:#a3201c;--bad-ground:#fdeeed}
@media (prefers-color-scheme:dark){:root{--ink:#edeef0;--soft:#a9adb5;--paper:#1d1f22;--ground:#121315;--line:#3b3e44;--act:#8db8f5;--on-act:#101418;--bad:#ff9a94;--bad-ground:#3a1d1c}}
*{box-sizing:border-box}
body{margin:0;padding:1.25rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:32rem;margin:4vh auto 0;padding:1.5rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 .75rem;font-size:1.35rem;line-height:1.25}
h2{margin:1.5rem 0 .5rem;font-size:1rem}
p{margin:.75rem 0}
dl{margin:1rem 0;border-top:1px solid var(--line)}
dl div{padding:.5rem 0;border-bottom:1px solid var(--line)}
dt{color:var(--soft);font-size:.875rem}
dd{margin:0}
ul{margin:0;padding-left:1.25rem}
label{display:block;margin:.9rem 0 .25rem;font-weight:600}
input{width:100%;padding:.6rem .7rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--soft);border-radius:.4rem}
button,a.act{display:inline-block;width:100%;margin-top:1.1rem;padding:.65rem 1rem;font:inherit;font-weight:600;text-align:center;text-decoration:none;color:var(--on-act);background:var(--act);border:1px solid var(--act);border-radius:.4rem;cursor:pointer}
button.other{color:var(--act);background:transparent}
a{color:var(--act)}
:focus-visible{outline:3px solid var(--act);outline-offset:2px}
.soft{color:var(--soft);font-size:.9rem}
.bad{padding:.6rem .8rem;color:var(--bad);background:var(--bad-ground);border-radius:.4rem}
.bad p{margin:0}
`

/** No page may frame ours, and ours may load nothing and run nothing. */
const HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

const FORM_HEADERS = Object.assign({}, HEADERS, { 'referrer-policy': 'same-origin' })

export interface Page {
  readonly status?: number
  readonly title: string
  readonly body: Html
  /** Where the browser goes by itself. A redirect of a form would have to be allowed for every site it may lead to. */
  readonly goTo?: string
  /**
   * It has forms. With `no-referrer` browsers would send `Origin: null` with them, so that they could not be told from
   * those of strangers; so the referrer stays with us in another way.
   */
  readonly hasForms?: boolean
}

export function render({ status = 200, title, body, goTo, hasForms = false }: Page): Answer {
  const refresh =
    goTo === undefined ? undefined : html`<meta http-equiv="refresh" content="0; url=${goTo}" />`
  const head = html`<meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="robots" content="noindex" />
    ${refresh}
    <title>${title} · Castellan</title>`
  const main = html`<main>
    <h1>${title}</h1>
    ${body}
  </main>`
  return {
    status,
    type: 'text/html; charset=utf-8',
    body: `<!doctype html>\n<html lang="en">\n<head>${head.text}\n<style>${STYLE}</style></head>\n<body>${main.text}</body>\n</html>\n`,
    headers: hasForms ? FORM_HEADERS : HEADERS,
  }
}

/** To another page of ours, with GET. */
export const redirect = (location: string, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status: 303,
  type: 'text/plain; charset=utf-8',
  body: 'It goes on at another page.\n',
  headers: Object.assign({ location }, HEADERS, headers),
})
