import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * Stands in for a browser and the person in front of it, at pages that work without scripts: signs in to Castellan with
 * the password in a file, logs in at the provider, agrees, and goes where it is sent. As a program:
 * `BROWSER="node test/e2e/guide-browser.ts ada ada.password %s"`
 */

const MAX_STEPS = 25

/** Who sits there: the name is the same everywhere. */
export interface Person {
  readonly name: string
  /** Of Castellan. */
  readonly password: () => string
  /** Whether the browser ends here, since it does not reach this address. */
  readonly cannotLoad?: (to: URL) => boolean
}

interface Going {
  readonly to: URL
  readonly form?: URLSearchParams
}

/** Goes on from page to page until there is nothing more to fill in. @returns the last page, as text */
export async function browse(url: string, person: Person): Promise<string> {
  const cookies = new Map<string, Map<string, string>>()
  let next: Going | undefined = { to: new URL(url) }
  let page = ''
  for (let step = 0; step < MAX_STEPS && next !== undefined; step++) {
    const { to, form }: Going = next
    if (person.cannotLoad?.(to) === true) return page
    const jar = cookies.get(to.origin) ?? new Map<string, string>()
    cookies.set(to.origin, jar)
    const answer = await fetch(to, {
      redirect: 'manual',
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form === undefined ? {} : { origin: to.origin, 'sec-fetch-site': 'same-origin' }),
      },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    page = await answer.text()
    next = goingOn(page, { at: to, location: answer.headers.get('location'), person })
  }
  return page
}

function goingOn(
  page: string,
  { at, location, person }: { readonly at: URL; readonly location: string | null; readonly person: Person },
): Going | undefined {
  const leads = location ?? /http-equiv="refresh" content="0; url=([^"]+)"/.exec(page)?.[1]
  if (leads !== undefined) return { to: new URL(plain(leads), at) }
  // A form that only leads away is none to fill in.
  const forms = [...page.matchAll(/<form([^>]*)>(.*?)<\/form>/gs)].filter(
    ([form]) => !form.includes('value="sign-out"'),
  )
  const [, attributes = '', inside = ''] = forms[0] ?? []
  if (forms.length === 0) return undefined
  const action = / action="([^"]*)"/.exec(attributes)?.[1]
  return { to: action === undefined ? at : new URL(plain(action), at), form: filled(inside, person) }
}

function filled(form: string, { name, password }: Person): URLSearchParams {
  const values = new URLSearchParams()
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const field = / name="([^"]*)"/.exec(tag)?.[1] ?? ''
    values.set(field, plain(/ value="([^"]*)"/.exec(tag)?.[1] ?? ''))
  }
  if (values.has('user')) values.set('user', name)
  if (values.has('user')) values.set('password', password())
  if (values.has('login')) values.set('login', name)
  if (values.has('login')) values.set('password', 'anything')
  if (values.has('user_code') && values.get('user_code') !== '') values.set('confirm', 'yes')
  return values
}

const plain = (html: string): string => html.replaceAll('&amp;', '&')

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', file = '', url = ''] = process.argv.slice(2)
  await browse(url, { name, password: () => readFileSync(file, 'utf8').trim() })
}
