import type { SessionRecord, SessionStore } from '../../gateway/classify/session.ts'

/** Sessions of a process that keeps nothing: those it knows are all there are, and this says only which of them are old. */
export function createMemorySessions(): SessionStore {
  const kept = new Map<string, SessionRecord>()

  return {
    insert(record) {
      kept.set(record.id, record)
      return Promise.resolve()
    },
    find: (id) => Promise.resolve(kept.get(id)),
    update(changed) {
      const record = kept.get(changed.id)
      if (record !== undefined) kept.set(changed.id, Object.assign({}, record, changed))
      return Promise.resolve()
    },
    touch(seen) {
      for (const [id, seenAtMs] of seen) {
        const record = kept.get(id)
        if (record !== undefined) kept.set(id, Object.assign({}, record, { seenAtMs }))
      }
      return Promise.resolve()
    },
    missing: (ids) => Promise.resolve(ids.filter((id) => !kept.has(id))),
    remove(id) {
      kept.delete(id)
      return Promise.resolve()
    },
    expired(beforeMs, limit, { which, names }) {
      const old = [...kept.values()]
        .filter(
          ({ seenAtMs, project }) => seenAtMs < beforeMs && names.includes(project) === (which === 'only'),
        )
        .sort((a, b) => a.seenAtMs - b.seenAtMs)
      return Promise.resolve(old.slice(0, limit).map(({ id }) => id))
    },
  }
}
