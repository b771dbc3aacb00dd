import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'

/** What somebody asks for. */
export interface Wanted {
  readonly definition: KindDefinition
  /** A name or a uid. */
  readonly name: string
  readonly project: string | undefined
}

export const notFound = ({ plural }: KindDefinition): Fault =>
  new Fault('not_found', { hint: `castellan get ${plural} lists those that there are` })
