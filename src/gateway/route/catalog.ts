import { compileFilter } from '../../protocol/glob.ts'
import { distinctName, exposedName, foldedName } from '../../protocol/exposed-name.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import type { Lease, Pool, Scope } from '../forward/pool.ts'
import { sharedName, sharedScope } from '../forward/shared-scope.ts'
import type { UpstreamFailure } from '../forward/upstream.ts'
import type { ServerView } from '../snapshot.ts'
import { connectTool } from './connect-tool.ts'
import { fetchList, NOTHING_LISTED, type FetchedList, type ListAsker } from './fetch-list.ts'
import type { CacheHints, DroppedTool, ListedItem, ListKind } from './listed-item.ts'

/** One list of one server as it was last seen. Immutable; a new one takes its place. */
export interface ServerList {
  readonly items: readonly ListedItem[]
  /** By the server's own name (or URI). */
  readonly byKey: ReadonlyMap<string, ListedItem>
  /** Name on an aggregated endpoint, in the order of `items`; for tools and prompts. */
  readonly exposed: ReadonlyMap<string, ListedItem>
  readonly exposedNames: ReadonlyMap<ListedItem, string>
  /** Tools that break a rule of their revision, so that no client may be shown them. */
  readonly dropped: readonly DroppedTool[]
  readonly hints: CacheHints
  /** Why the list is empty or old, if the last attempt failed. */
  readonly failure: UpstreamFailure | undefined
}

export interface Catalog {
  /** The list if it is known, however old; asks for a newer one in the background when it is due. */
  peek(server: ServerView, scope: Scope, kind: ListKind): ServerList | undefined
  /** The list if it is known; nothing is asked of anybody. */
  seen(server: ServerView, scope: Scope, kind: ListKind): ServerList | undefined
  /** The list, waiting for it only when nothing is known of it yet: a dead server delays only the first call. */
  load(server: ServerView, scope: Scope, kind: ListKind): Promise<ServerList>
  /**
   * The list, asked for anew unless that was done a moment ago: for a name that is not in it.
   * @param isOld the server itself says that what we have is old
   */
  reload(server: ServerView, scope: Scope, kind: ListKind, isOld?: boolean): Promise<ServerList>
  /**
   * The server says that a list has changed, or was connected anew.
   * @param sharer who shares the connection that said so; '' (or absent): all
   */
  changed(server: ServerView, kinds: readonly ListKind[], sharer?: string): void
  /** Forgets the lists that only this session had. */
  endSession(session: string): void
  /** Grows with every list that changes: caches built from lists compare it. */
  readonly version: number
  /** Lists that could not be had are asked for again by whoever needs them next. */
  tryAgain(): void
  /** Forgets the lists of servers that are gone or have changed. */
  reconcile(now: (name: string, uid: string) => ServerView | undefined): void
}

export interface CatalogDeps {
  readonly pool: Pool
  readonly us: Implementation
  readonly tickMs: () => number
  /** Called when the content of a list differs from what was known before. */
  readonly onChange: (server: ServerView, kind: ListKind, sharer: string) => void
  /** Called when a list is known from which tools had to be left out. */
  readonly onDropped: (server: ServerView, dropped: readonly DroppedTool[]) => void
}

/** How long a list is taken as it is; a server that announces changes is asked again much later. */
const FRESH_MS = 60_000
const FRESH_ANNOUNCED_MS = 30 * 60_000
/** How long a failure is believed before the server is asked again, in the background. */
const FAILED_MS = 15_000
const FIRST_WAIT_MS = 10_000
const RELOAD_PAUSE_MS = 5000
/** So many are kept without a look at who still needs theirs. */
const MAX_SERVERS = 2000
const IDLE_CALLER_MS = 5 * 60_000

interface Known {
  readonly name: string
  readonly fingerprint: string
  readonly slots: Map<string, Slot>
  /** Of a server that is one caller's alone: when they last needed a list. */
  usedMs: number
}

interface Slot {
  readonly kind: ListKind
  /** Whose list it is, as the pool names who shares a connection. */
  readonly sharer: string
  /** For whom it is asked for when the server says that it changed. */
  readonly scope: Scope
  list: ServerList | undefined
  dueMs: number
  fetchedMs: number
  loading: Promise<ServerList> | undefined
  /** How often the server has said that it changed: what was asked for before the last time is old when it comes. */
  changes: number
  /** Up to which of those was passed on. */
  told: number
  /** It will be asked once more, since it said that it changed while it was asked. */
  askedAgain: boolean
}

export function createCatalog(deps: CatalogDeps): Catalog {
  const servers = new Map<string, Known>()
  let version = 1

  function slotOf(server: ServerView, scope: Scope, kind: ListKind): Slot {
    let known = servers.get(server.uid)
    if (known === undefined || known.fingerprint !== server.fingerprint) {
      if (server.ofOneCaller === true) makeRoom()
      known = { name: server.name, fingerprint: server.fingerprint, slots: new Map(), usedMs: 0 }
      servers.set(server.uid, known)
      version++
    }
    if (server.ofOneCaller === true) known.usedMs = deps.tickMs()
    const sharer = sharedName(server, scope)
    const key = `${kind} ${sharer}`
    let slot = known.slots.get(key)
    if (slot === undefined) {
      slot = {
        kind,
        sharer,
        scope,
        list: undefined,
        dueMs: 0,
        fetchedMs: -Infinity,
        loading: undefined,
        changes: 0,
        told: 0,
        askedAgain: false,
      }
      known.slots.set(key, slot)
    }
    return slot
  }

  /** Lists of those who call no more are asked for again when they do. */
  function makeRoom(): void {
    if (servers.size < MAX_SERVERS) return
    const oldest = deps.tickMs() - IDLE_CALLER_MS
    for (const [uid, { usedMs }] of servers) if (usedMs > 0 && usedMs < oldest) servers.delete(uid)
  }

  const asker = (server: ServerView, lease: Lease, timeoutMs: number): ListAsker => ({
    lease,
    us: deps.us,
    timeoutMs,
    overHttp: server.spec.transport !== 'stdio',
  })

  function refresh(server: ServerView, scope: Scope, kind: ListKind, slot: Slot): Promise<ServerList> {
    slot.loading ??= fetchInto(server, scope, kind, slot).finally(() => {
      slot.loading = undefined
    })
    return slot.loading
  }

  async function fetchInto(
    server: ServerView,
    scope: Scope,
    kind: ListKind,
    slot: Slot,
  ): Promise<ServerList> {
    const { changes } = slot
    const waitMs = Math.min(server.spec.timeouts.callSeconds * 1000, 60_000)
    const lease = await deps.pool.lease(server, sharedScope(server, scope))
    const fetched = lease.ok ? await fetchList(asker(server, lease.value, waitMs), kind) : lease
    const before = slot.list
    slot.fetchedMs = deps.tickMs()
    if (!fetched.ok) {
      slot.dueMs = slot.fetchedMs + FAILED_MS
      // Stale on error: what was known stays, with the failure beside it.
      const known = before ?? buildList(server, kind, withoutAccount(server, kind, fetched.error))
      slot.list = { ...known, failure: fetched.error }
      return slot.list
    }
    const announced = lease.ok && announces(lease.value.info.capabilities, kind)
    const freshMs = announced ? FRESH_ANNOUNCED_MS : freshFor(fetched.value.hints)
    // A server may say that it changed whenever it is asked, so even then there is a pause.
    slot.dueMs = slot.fetchedMs + (slot.changes === changes ? freshMs : RELOAD_PAUSE_MS)
    if (slot.changes !== changes) askAgain(server, slot)
    // What the server says is passed on, also when nothing of what we see has changed.
    const said = changes > slot.told
    slot.told = changes
    if (before !== undefined && sameItems(before, server, kind, fetched.value)) {
      // After a failure it is there again, as it was: nobody needs to hear of that.
      if (before.failure !== undefined) slot.list = { ...before, failure: undefined }
      if (said) deps.onChange(server, kind, slot.sharer)
      return slot.list ?? before
    }
    slot.list = buildList(server, kind, fetched.value)
    version++
    if (slot.list.dropped.length > 0) deps.onDropped(server, slot.list.dropped)
    if (before !== undefined) deps.onChange(server, kind, slot.sharer)
    return slot.list
  }

  /** Once: there are servers that say so whenever they are asked. */
  function askAgain(server: ServerView, slot: Slot): void {
    if (slot.askedAgain) return
    slot.askedAgain = true
    setTimeout(() => {
      if (servers.get(server.uid)?.fingerprint === server.fingerprint)
        void refresh(server, slot.scope, slot.kind, slot)
    }, RELOAD_PAUSE_MS).unref()
  }

  return {
    get version() {
      return version
    },
    peek(server, scope, kind) {
      const slot = slotOf(server, scope, kind)
      if (slot.list !== undefined && deps.tickMs() >= slot.dueMs) void refresh(server, scope, kind, slot)
      return slot.list
    },
    seen: (server, scope, kind) => slotOf(server, scope, kind).list,
    async load(server, scope, kind) {
      const slot = slotOf(server, scope, kind)
      if (slot.list !== undefined) return this.peek(server, scope, kind) ?? slot.list
      const fetching = refresh(server, scope, kind, slot)
      return Promise.race([fetching, stillWaiting(server, kind, slot)])
    },
    async reload(server, scope, kind, isOld = false) {
      const slot = slotOf(server, scope, kind)
      if (!isOld && slot.list !== undefined && deps.tickMs() - slot.fetchedMs < RELOAD_PAUSE_MS)
        return slot.list
      return refresh(server, scope, kind, slot)
    },
    changed(server, kinds, sharer = '') {
      const listed = new Set<ListKind>()
      for (const slot of servers.get(server.uid)?.slots.values() ?? []) {
        if (!kinds.includes(slot.kind)) continue
        if (sharer !== '' && slot.sharer !== '' && slot.sharer !== sharer) continue
        slot.dueMs = 0
        slot.fetchedMs = -Infinity
        slot.changes++
        if (slot.list === undefined) continue
        listed.add(slot.kind)
        if (slot.loading === undefined) slot.askedAgain = false
        void refresh(server, slot.scope, slot.kind, slot)
      }
      // Nobody has asked for these, so whoever hears of it will be given what is there then.
      for (const kind of kinds) if (!listed.has(kind)) deps.onChange(server, kind, sharer)
    },
    endSession(session) {
      for (const { slots } of servers.values())
        for (const [key, slot] of slots) if (slot.sharer === `session:${session}`) slots.delete(key)
    },
    tryAgain() {
      for (const { slots } of servers.values()) {
        for (const slot of slots.values()) {
          if (slot.list?.failure === undefined) continue
          slot.dueMs = 0
          slot.fetchedMs = -Infinity
        }
      }
    },
    reconcile(now) {
      for (const [uid, { name, fingerprint }] of servers) {
        const view = now(name, uid)
        if (view?.uid === uid && view.fingerprint === fingerprint) continue
        servers.delete(uid)
        version++
      }
    },
  }
}

/** After the first wait the list counts as empty, so that later calls do not wait as well; it is filled when it comes. */
function stillWaiting(server: ServerView, kind: ListKind, slot: Slot): Promise<ServerList> {
  return new Promise((resolve) => {
    setTimeout(() => {
      slot.list ??= {
        ...buildList(server, kind, NOTHING_LISTED),
        failure: { kind: 'timeout', message: 'it has not answered yet' },
      }
      resolve(slot.list)
    }, FIRST_WAIT_MS).unref()
  })
}

/** Whose account is missing sees one tool that leads to it. */
const withoutAccount = (server: ServerView, kind: ListKind, { connect }: UpstreamFailure): FetchedList =>
  kind === 'tools' && connect === true ? { ...NOTHING_LISTED, items: [connectTool(server)] } : NOTHING_LISTED

function announces(
  capabilities: {
    readonly tools?: { listChanged?: boolean }
    readonly prompts?: { listChanged?: boolean }
    readonly resources?: { listChanged?: boolean }
  },
  kind: ListKind,
): boolean {
  return capabilities[kind === 'templates' ? 'resources' : kind]?.listChanged === true
}

/** As the server says, within bounds: one that wants to be asked every time is not asked all the time. */
const freshFor = ({ ttlMs }: CacheHints): number =>
  ttlMs === undefined ? FRESH_MS : Math.min(Math.max(ttlMs, RELOAD_PAUSE_MS), FRESH_ANNOUNCED_MS)

function buildList(server: ServerView, kind: ListKind, fetched: FetchedList): ServerList {
  const offered = kind === 'tools' ? compileFilter(server.spec.tools) : (): boolean => true
  const byKey = new Map<string, ListedItem>()
  for (const item of fetched.items) if (offered(item.key) && !byKey.has(item.key)) byKey.set(item.key, item)
  const items = [...byKey.values()]
  const exposed = exposeAll(server.name, kind, items)
  const exposedNames = new Map([...exposed].map(([name, item]) => [item, name]))
  const { dropped, hints } = fetched
  return { items, byKey, exposed, exposedNames, dropped, hints, failure: undefined }
}

/** Names that clients would fold into one all get a digest, so which of them keeps its name depends on no order. */
function exposeAll(server: string, kind: ListKind, items: readonly ListedItem[]): Map<string, ListedItem> {
  if (kind === 'resources' || kind === 'templates') return new Map()
  const folds = new Map<string, number>()
  for (const { key } of items) {
    const folded = foldedName(exposedName(server, key))
    folds.set(folded, (folds.get(folded) ?? 0) + 1)
  }
  return new Map(
    items.map((item) => {
      const exposed = exposedName(server, item.key)
      return [folds.get(foldedName(exposed)) === 1 ? exposed : distinctName(server, item.key), item]
    }),
  )
}

function sameItems(before: ServerList, server: ServerView, kind: ListKind, fetched: FetchedList): boolean {
  const after = buildList(server, kind, fetched).items
  return (
    after.length === before.items.length &&
    fetched.dropped.length === before.dropped.length &&
    fetched.hints.isPublic === before.hints.isPublic &&
    after.every((item, i) => before.items[i]?.text.equals(item.text) === true)
  )
}
