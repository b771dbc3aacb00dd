import type { SecretValue } from '../../lib/secret-value.ts'
import type { Place } from './define-provider.ts'

/** A credential where it belongs in one request: in a header, or as a segment of the path. */
export interface Placed {
  readonly headers: Readonly<Record<string, string>>
  readonly segment: string | undefined
}

/** @param value checked when it was stored: it holds nothing that could end a header or leave its segment */
export function putInPlace(place: Place, value: SecretValue): Placed {
  const text = value.reveal()
  if (place.in === 'segment') return { headers: {}, segment: place.prefix + text }
  const credential =
    place.basicUser === undefined
      ? place.prefix + text
      : `Basic ${Buffer.from(`${place.basicUser}:${text}`).toString('base64')}`
  return { headers: { [place.header]: credential }, segment: undefined }
}
