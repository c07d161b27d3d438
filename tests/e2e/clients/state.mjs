/**
 * A document as plain values: what a test writes into it and what it compares.
 *
 * Two replicas are compared by value, never by bytes: yrs and Yjs encode the same state differently.
 * Knows Yjs types only; no sockets, no waiting.
 */
import { createHash } from 'node:crypto'
import * as Y from 'yjs'

/** The type that each edit expects of the root its path starts at. */
const ROOT_OF = { set: 'getMap', delete: 'getMap', map: 'getMap', insert: 'getText', cut: 'getText', push: 'getArray', remove: 'getArray' }

/** Roots that came from the network have no type until somebody names it: read it off the content. */
const typed = (doc, name) => {
  const root = doc.share.get(name)
  if (root.constructor !== Y.AbstractType) return root
  if (root._map.size > 0) return doc.getMap(name)
  for (let item = root._start; item !== null; item = item.right) {
    if (item.content instanceof Y.ContentString || item.content instanceof Y.ContentFormat) return doc.getText(name)
    if (!item.deleted) return doc.getArray(name)
  }
  return null
}

const plain = (value) => {
  if (value instanceof Y.Text) return plain(value.toDelta())
  if (value instanceof Y.AbstractType) return plain(value.toJSON())
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') }
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]))
  }
  return value
}

/** Every root with content, keys sorted at every depth. An empty root says nothing and is left out. */
export const canonical = (doc) => {
  const out = {}
  for (const name of [...doc.share.keys()].sort()) {
    const root = typed(doc, name)
    if (root === null) continue
    const value = root instanceof Y.Text ? root.toString() : plain(root)
    const empty = typeof value === 'string' ? value === '' : Object.keys(value ?? {}).length === 0
    if (!empty) out[name] = value
  }
  return out
}

export const hash = (doc) => createHash('sha256').update(JSON.stringify(canonical(doc))).digest('hex')

/** Whether two replicas hold the same operations (and deletions), which is stronger than equal values. */
export const same = (a, b) => Y.equalSnapshots(Y.snapshot(a), Y.snapshot(b)) && hash(a) === hash(b)

/** Follow `path` from a root through nested maps; the root takes the type `getter` names. */
const resolve = (doc, path, getter) => {
  const [root, ...keys] = path
  if (keys.length === 0) return doc[getter](root)
  return keys.reduce((type, key) => type.get(key), doc.getMap(root))
}

/** The value at `path`, or undefined; the path may end at a root, a type or a key. */
export const valueAt = (doc, path) => {
  const [root, ...keys] = path
  if (!doc.share.has(root)) return undefined
  let type = typed(doc, root)
  for (const key of keys) {
    if (type === undefined || type === null) return undefined
    type = type instanceof Y.AbstractType ? type.get(key) : type[key]
  }
  return type instanceof Y.Text ? type.toString() : plain(type)
}

/** One edit, as the Python side describes it. */
export const edit = (doc, op) => {
  const type = resolve(doc, op.path, ROOT_OF[op.op])
  switch (op.op) {
    case 'set': return type.set(op.key, op.value)
    case 'delete': return type.delete(op.key)
    case 'map': return type.set(op.key, new Y.Map())
    case 'insert': return type.insert(Math.min(op.index ?? type.length, type.length), op.text)
    case 'cut': return type.delete(op.index, op.length)
    case 'push': return type.push(op.values)
    case 'remove': return type.delete(op.index, op.length ?? 1)
    default: throw new Error(`unknown edit: ${op.op}`)
  }
}
