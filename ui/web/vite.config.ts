import { defineConfig } from "vitest/config";

// The server's policy allows scripts and styles from files only, so nothing may be inlined.
// Names are hashed: the server lets browsers keep them for ever.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // For scripts/budget.mjs: which file needs which.
    manifest: "manifest.json",
  },
  server: {
    host: "127.0.0.1",
    // `npm run dev` against a running server: put its address in SPOTTER and its API token in SPOTTER_TOKEN.
    proxy: {
      "/api": {
        target: process.env["SPOTTER"] ?? "http://127.0.0.1:8080",
        changeOrigin: true,
        headers: { authorization: `Bearer ${process.env["SPOTTER_TOKEN"] ?? ""}` },
      },
    },
  },
  test: { environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"] },
});
