import { timingSafeEqual } from 'node:crypto'

/** Whether two texts are the same, in a time that tells nothing but how long they are. */
export function sameText(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
