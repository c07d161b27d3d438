/**
 * Many stock clients in one process, driven by JSON lines.
 *
 * Reads `{"id", "do", ...}` from stdin, answers `{"id", "ok"}` or `{"id", "error"}` on stdout.
 * A fault that no command waits for (an exception in a socket's handler) is kept and can be asked
 * for with "faults": a test that broke a client must not pass because nobody looked.
 */
import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { Client } from './client.mjs'
import { converged, waitFor } from './conditions.mjs'
import { canonical, edit, hash } from './state.mjs'

const clients = new Map()
const faults = []
process.on('uncaughtException', (error) => faults.push(String(error.stack ?? error)))
process.on('unhandledRejection', (error) => faults.push(String(error?.stack ?? error)))
// The protocol owns stdout.
console.log = console.info = console.debug = console.warn = (...words) => console.error(...words)

const get = (name) => {
  const client = clients.get(name)
  if (client === undefined) throw new Error(`no client named ${name}`)
  return client
}

const apply = (client, ops, apart) => {
  if (apart) for (const op of ops) edit(client.doc, op)
  else client.doc.transact(() => { for (const op of ops) edit(client.doc, op) })
  return null
}

const COMMANDS = {
  open: async ({ name, ...options }) => {
    clients.set(name, new Client(options))
    return get(name).doc.clientID
  },
  /** All of them in one turn of the loop: nobody is first. */
  openAll: async ({ options }) => options.map(({ name, ...rest }) => {
    clients.set(name, new Client(rest))
    return get(name).doc.clientID
  }),
  edit: async ({ name, ops, apart = false }) => apply(get(name), ops, apart),
  /** Several clients edit within one turn of the loop, before any of them can hear of the others. */
  editAll: async ({ edits }) => { for (const { name, ops } of edits) apply(get(name), ops, false); return null },
  editAndClose: async ({ name, ops }) => {
    apply(get(name), ops, false)
    await get(name).close()
    clients.delete(name)
    return null
  },
  /** `count` transactions of one small change each, in one turn of the loop. */
  burst: async ({ name, root, count }) => {
    const map = get(name).doc.getMap(root)
    for (let n = 0; n < count; n++) map.set(`key${n}`, n)
    return null
  },
  wait: async ({ name, wants, timeout }) => waitFor(get(name), wants, timeout),
  converged: async ({ names, timeout }) => converged(names.map(get), timeout),
  acknowledge: async ({ name, timeout }) => {
    const version = get(name).ask()
    await waitFor(get(name), { acknowledged: version }, timeout)
    return version
  },
  presence: async ({ name, state }) => { get(name).provider.awareness.setLocalState(state); return null },
  disconnect: async ({ name }) => { get(name).provider.disconnect(); return null },
  connect: async ({ name, url, token }) => {
    const { provider } = get(name)
    if (url !== undefined) provider.serverUrl = url
    if (token !== undefined) provider.params = { ...provider.params, token }
    provider.connect()
    return null
  },
  cut: async ({ name }) => { get(name).cut(); return null },
  vanish: async ({ name }) => { get(name).vanish(); return null },
  close: async ({ name }) => { await get(name).close(); clients.delete(name); return null },
  /** Bytes that the provider itself would never send, on its own socket. */
  send: async ({ name, body }) => { get(name).provider.ws.send(Buffer.from(body, 'base64')); return null },
  facts: async ({ name }) => get(name).facts(),
  state: async ({ name }) => canonical(get(name).doc),
  hash: async ({ name }) => hash(get(name).doc),
  update: async ({ name }) => Buffer.from(Y.encodeStateAsUpdate(get(name).doc)).toString('base64'),
  /** The state of a document that was never connected: what a downloaded update says. */
  read: async ({ updates }) => {
    const doc = new Y.Doc()
    for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'base64'))
    return { state: canonical(doc), hash: hash(doc) }
  },
  faults: async () => faults.splice(0)
}

const answer = (reply) => process.stdout.write(`${JSON.stringify(reply)}\n`)

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, do: verb, ...request } = JSON.parse(line)
  try {
    answer({ id, ok: await COMMANDS[verb](request) })
  } catch (error) {
    answer({ id, error: String(error.message ?? error) })
  }
}).on('close', () => process.exit(0))
