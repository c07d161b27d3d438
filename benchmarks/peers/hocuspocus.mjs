// @hocuspocus/server with its defaults, on a port that the system picks, without a store.
// Prints one line of JSON when it listens: {"port": 12345}.
import { Server } from '@hocuspocus/server'

const server = new Server({ address: '127.0.0.1', port: 0, quiet: true })
await server.listen()
console.log(JSON.stringify({ port: server.address.port }))
