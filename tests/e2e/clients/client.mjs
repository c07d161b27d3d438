/**
 * One stock client: Y.Doc + y-websocket provider (+ y-indexeddb), with its history kept for the test.
 *
 * Nothing of the provider is patched. The 102 acknowledgement goes through the provider's own
 * table of message handlers, as an application would do it.
 */
import 'fake-indexeddb/auto'
import { EventEmitter } from 'node:events'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import { IndexeddbPersistence } from 'y-indexeddb'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const ACKNOWLEDGE = 102

export class Client extends EventEmitter {
  /** Emits 'change' after anything a condition could look at. */
  constructor ({ url, room, token, params = {}, protocols = [], connect = true, database = null, maxBackoff = 400 }) {
    super()
    this.setMaxListeners(0)
    this.doc = new Y.Doc()
    this.closes = []
    this.presence = []
    this.acknowledged = new Set()
    this.version = 0
    this.updates = 0
    this.ended = null
    this.storage = database === null ? null : new IndexeddbPersistence(database, this.doc)
    const query = token == null ? params : { token, ...params }
    this.provider = new WebsocketProvider(url, room, this.doc, {
      connect,
      params: query,
      protocols,
      WebSocketPolyfill: WebSocket,
      // Several clients live in this one process: without this they would talk past the server.
      disableBc: true,
      maxBackoffTime: maxBackoff
    })
    this.listen()
  }

  listen () {
    const changed = () => this.emit('change')
    const { provider, doc } = this
    provider.messageHandlers[ACKNOWLEDGE] = (_encoder, decoder) => {
      const body = decoding.createDecoder(decoding.readVarUint8Array(decoder))
      this.acknowledged.add(decoding.readVarUint(body))
      changed()
    }
    doc.on('update', () => { this.updates++; changed() })
    provider.on('sync', changed)
    provider.on('status', changed)
    provider.on('connection-close', (event) => {
      // A null event means that this side closed.
      if (event !== null) this.closes.push({ code: event.code, reason: event.reason })
      changed()
    })
    provider.on('closed', ({ code, reason }) => { this.ended = { code, reason }; changed() })
    provider.awareness.on('change', ({ added, updated, removed }, origin) => {
      // A provider that loses its socket empties its own view; only the server's word counts here.
      if (origin === provider && provider.wsconnected) this.presence.push({ added, updated, removed })
      changed()
    })
  }

  /** Ask for the durable acknowledgement of everything sent so far. Returns the number to wait for. */
  ask () {
    const version = ++this.version
    const body = encoding.createEncoder()
    encoding.writeVarUint(body, version)
    const frame = encoding.createEncoder()
    encoding.writeVarUint(frame, ACKNOWLEDGE)
    encoding.writeVarUint8Array(frame, encoding.toUint8Array(body))
    this.provider.ws.send(encoding.toUint8Array(frame))
    return version
  }

  /** Cut the connection as a lost network does: no close frame, no goodbye. The provider may return. */
  cut () {
    this.provider.ws?.terminate()
  }

  /** The tab crashes: the socket is gone, nothing is said, and nobody reconnects. */
  vanish () {
    this.provider.shouldConnect = false
    this.provider.ws?.terminate()
    clearInterval(this.provider._checkInterval)
    this.provider.awareness._checkInterval && clearInterval(this.provider.awareness._checkInterval)
  }

  async close () {
    this.provider.destroy()
    this.provider.awareness.destroy()
    await this.storage?.destroy()
    this.doc.destroy()
  }

  facts () {
    const { provider } = this
    return {
      clientId: this.doc.clientID,
      connected: provider.wsconnected,
      synced: provider.synced,
      updates: this.updates,
      closes: this.closes,
      ended: this.ended,
      presence: this.presence,
      states: Object.fromEntries(provider.awareness.getStates())
    }
  }
}
