import { defineConfig } from 'vite'
import solid from 'vite-plugin-solid'

// The Worker's Content-Security-Policy allows only files: nothing may become a `data:` address or an inline script.
export default defineConfig({
  base: './',
  plugins: [solid()],
  build: { target: 'es2022', cssTarget: ['chrome123', 'firefox120', 'safari17.5'], assetsInlineLimit: 0, modulePreload: { polyfill: false }, emptyOutDir: true, reportCompressedSize: false },
  server: { proxy: { '/_': { target: process.env.TENANTS_URL ?? 'http://127.0.0.1:8787' } } },
})
