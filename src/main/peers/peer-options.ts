import { usage } from '../../cli/failure.ts'

/** Where other processes on the same database reach this one. */
export interface PeerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Undefined: where it listens. */
  readonly publicUrl: string | undefined
}

export interface PeerChoice {
  readonly listen: string | undefined
  readonly url: string | undefined
  /** Whether the database can have other processes on it. */
  readonly shared: boolean
}

/**
 * On loopback unless said otherwise: processes of one host find each other, and nothing is open to others.
 * @returns undefined where there are no other processes
 * @throws CliFailure `invalid`
 */
export function readPeerOptions({ listen, url, shared }: PeerChoice): PeerOptions | undefined {
  if (!shared) {
    if (listen === undefined && url === undefined) return undefined
    throw usage(
      'only daemons that share a PostgreSQL database have peers, and none is given',
      'give --database, or leave --peer-listen and --peer-url out',
    )
  }
  const address = readAddress(listen ?? '127.0.0.1:0')
  if (isEverywhere(address.host) && url === undefined)
    throw usage(
      'the address to listen on for other daemons is every address of this machine',
      'say with --peer-url under which one they reach it, such as http://10.0.0.7:7412',
    )
  return { ...address, publicUrl: url === undefined ? undefined : readUrl(url) }
}

function readAddress(given: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([\w.:-]+)\]|([\w.-]+)):(\d{1,5})$/.exec(given) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port > 65_535)
    throw usage(
      'the address to listen on for other daemons is not HOST:PORT',
      'write: --peer-listen 10.0.0.7:7412',
    )
  return { host, port }
}

function readUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isPlain = url !== undefined && url.username + url.password + url.search + url.hash === ''
  if (!isPlain || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw usage(
      'the address for other daemons is not an http:// or https:// address',
      'write: --peer-url http://10.0.0.7:7412',
    )
  return url.href
}

const isEverywhere = (host: string): boolean => /^(?:0\.0\.0\.0|::|0*(?::0*)+)$/.test(host)
