/**
 * One open project: the document, its connection, and whether what you did is on disk.
 *
 * Everything Yjs here is stock: y-websocket for the wire, y-indexeddb so that a reload without a
 * network keeps your edits. Two extras (docs/protocol.md): message 102, which SyncSphere sends back
 * once everything before it is durable; and a fresh ticket for every connection, so that no token
 * that is worth anything stands in an address.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { IndexeddbPersistence } from 'y-indexeddb'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const SYNC = 0
const STEP1 = 0
const DENIED = 2
const ACKNOWLEDGE = 102

/** Answers that a person can act on, by close code. */
export const ENDINGS = {
  4400: 'The server could not read what this page sent. Reload to go on.',
  4401: 'Sign in to open this project.',
  4403: 'You have no access to this project.',
  4404: 'This project does not exist, or it is not shared with you.',
  4409: 'This project was reset. Reload to go on.',
  4413: 'This change is too large.',
  4429: 'Too many open connections. Close some windows and reload.'
}

/** The server closed the connection for good. */
export class Ended extends Error {
  constructor (code, sentence) {
    super(sentence)
    this.code = code
  }
}

export class Room {
  /**
   * `onStatus({connection, saved, unsaved})`: connection is 'connecting', 'online' or 'offline'.
   * `onEnd(code, sentence)`: the server closed for good. `onAsked()`: the server refused an edit, or
   * asks for everything again: what one may do here may have changed. `ticket()`: a promise of what to enter with.
   */
  constructor ({ id, ticket, onStatus, onEnd, onAsked }) {
    this.doc = new Y.Doc()
    this.storage = new IndexeddbPersistence(`syncsphere:${id}`, this.doc)
    const base = new URL('sync', document.baseURI)
    base.protocol = base.protocol.replace('http', 'ws')
    this.provider = new WebsocketProvider(base.href, id, this.doc, { connect: false })
    this.ticket = ticket
    this.awareness = this.provider.awareness
    this.version = 0
    // Nothing is known to be on disk before the server has said so once.
    this.durable = -1
    this.onStatus = onStatus
    this.provider.messageHandlers[ACKNOWLEDGE] = (_encoder, decoder) => {
      const body = decoding.createDecoder(decoding.readVarUint8Array(decoder))
      this.durable = Math.max(this.durable, decoding.readVarUint(body))
      this.tell()
    }
    const sync = this.provider.messageHandlers[SYNC]
    this.provider.messageHandlers[SYNC] = (encoder, decoder, ...rest) => {
      const again = this.provider.synced && decoder.arr[decoder.pos] === STEP1
      sync(encoder, decoder, ...rest)
      if (again) onAsked()
    }
    this.provider.messageHandlers[DENIED] = () => onAsked()
    this.provider.on('status', () => this.tell())
    this.provider.on('sync', (synced) => { if (synced) this.ask() })
    this.opened = false
    // The provider tries again by itself, sooner than an answer may take: then with the old ticket,
    // which is refused at worst, and `closed` comes here.
    this.provider.on('connection-close', () => this.renew().catch(() => {}))
    this.provider.on('closed', ({ code, reason }) => {
      if (code === 4401 && reason === 'token_expired') return this.enter()
      this.ended = new Ended(code, ENDINGS[code] ?? reason)
      this.refused?.()
      if (this.opened) onEnd(code, this.ended.message)
    })
    this.doc.on('update', (_update, origin) => {
      if (origin === this.provider || origin === this.storage) return
      this.version++
      this.ask()
    })
  }

  async renew () {
    this.provider.params = { token: await this.ticket() }
  }

  /** Connect with a fresh ticket; without a network, once there is one. */
  async enter () {
    try {
      await this.renew()
    } catch (error) {
      if (this.gone) return
      if (error.status === 401 || error.status === 404) return this.provider.emit('closed', [{ code: error.status === 401 ? 4401 : 4404, reason: error.code }])
      setTimeout(() => { if (!this.gone) this.enter() }, 2000)
      return
    }
    if (!this.gone) this.provider.connect()
  }

  /** Ask the server to say when everything up to here is on disk. */
  ask () {
    if (this.provider.wsconnected) {
      const frame = encoding.createEncoder()
      const body = encoding.createEncoder()
      encoding.writeVarUint(body, this.version)
      encoding.writeVarUint(frame, ACKNOWLEDGE)
      encoding.writeVarUint8Array(frame, encoding.toUint8Array(body))
      this.provider.ws.send(encoding.toUint8Array(frame))
    }
    this.tell()
  }

  tell () {
    const { wsconnected, shouldConnect } = this.provider
    const connection = wsconnected ? 'online' : shouldConnect ? 'connecting' : 'offline'
    this.onStatus({ connection, saved: this.durable >= this.version, unsaved: this.version - Math.max(this.durable, 0) })
  }

  /** Resolves once the document is here, from the network or from an earlier visit; or throws Ended. */
  async loaded () {
    this.enter()
    await this.storage.whenSynced
    if (!this.provider.synced && this.doc.store.clients.size === 0) {
      await new Promise((resolve) => {
        this.provider.once('synced', resolve)
        this.refused = resolve
      })
    }
    if (this.ended !== undefined) throw this.ended
    this.opened = true
  }

  close () {
    this.gone = true
    this.provider.destroy()
    this.awareness.destroy()
    this.storage.destroy()
    this.doc.destroy()
  }
}
