import { defineConfig } from 'vite'

// `npm run dev` shows the page with hot reload beside a server started with `make serve`.
const server = process.env.SYNCSPHERE_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  base: './',
  build: { target: 'es2022', assetsInlineLimit: 0 },
  server: {
    proxy: {
      '/api': server,
      '/sync': { target: server, ws: true }
    }
  }
})
