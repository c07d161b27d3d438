/**
 * Waiting, by events: a condition is looked at once now and again whenever a client changed.
 *
 * Never sleeps; the only timer is the deadline, whose message says how far things had come.
 */
import { isDeepStrictEqual } from 'node:util'
import { canonical, hash, same, valueAt } from './state.mjs'

/** Conditions on one client; `want` is what the Python side asked for. */
const CONDITIONS = {
  synced: (client, want) => client.provider.synced === want,
  connected: (client, want) => client.provider.wsconnected === want,
  acknowledged: (client, want) => client.acknowledged.has(want),
  closed: (client, want) => client.closes.length >= want,
  ended: (client, want) => (client.ended !== null) === want,
  hash: (client, want) => hash(client.doc) === want,
  equals: (client, { path, value }) => isDeepStrictEqual(valueAt(client.doc, path), value),
  size: (client, { path, count }) => {
    const value = valueAt(client.doc, path)
    return value !== undefined && (typeof value === 'string' ? value.length : Object.keys(value).length) === count
  },
  sees: (client, { clientId, has }) => {
    const state = client.provider.awareness.getStates().get(clientId)
    return state !== undefined && Object.entries(has).every(([key, value]) => isDeepStrictEqual(state[key], value))
  },
  misses: (client, want) => !client.provider.awareness.getStates().has(want),
  states: (client, want) => client.provider.awareness.getStates().size === want,
  stored: (client) => client.storage.synced
}

const until = (clients, done, timeout, describe) => new Promise((resolve, reject) => {
  let scheduled = false
  const finish = (settle, value) => {
    clearTimeout(deadline)
    for (const client of clients) client.off('change', look)
    settle(value)
  }
  const check = () => {
    scheduled = false
    try {
      if (done()) finish(resolve, null)
    } catch (error) {
      finish(reject, error)
    }
  }
  // Ten thousand updates of one turn are looked at once.
  const look = () => {
    if (scheduled) return
    scheduled = true
    setImmediate(check)
  }
  const deadline = setTimeout(() => finish(reject, new Error(`not within ${timeout} ms: ${describe()}`)), timeout)
  for (const client of clients) client.on('change', look)
  check()
})

const short = (value) => {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 600 ? `${text.slice(0, 600)}... (${text.length} characters)` : text
}

/** Resolves when every condition in `wants` holds for the client at the same time. */
export const waitFor = (client, wants, timeout) => until(
  [client],
  () => Object.entries(wants).every(([name, want]) => CONDITIONS[name](client, want)),
  timeout,
  () => `${short(wants)}; now ${short(client.facts())} with ${short(canonical(client.doc))}`
)

/** Resolves when all clients hold the same operations and the same values. */
export const converged = (clients, timeout) => until(
  clients,
  () => clients.every((client) => client.provider.synced) && clients.every((client) => same(clients[0].doc, client.doc)),
  timeout,
  () => `converged; now ${clients.map((client) => `${client.provider.synced} ${short(canonical(client.doc))}`).join(' | ')}`
)
