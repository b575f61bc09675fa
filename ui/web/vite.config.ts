import { defineConfig } from "vitest/config";

/** Modules that the frame and the suspicious page need before anything is opened. */
const FIRST = /node_modules\/(preact|@preact)|vite\/preload|\/src\/(main|api\/client|app\/(App|keys|me|param|route|settings|Settings|spot)|pages\/registry|text\/\w+|parts\/(State|later|toast|Popover|cells|known|ExportMenu)|parts\/views\/(SavedViews|time)|parts\/table\/(Grid|window|ColumnChooser)|parts\/time\/(days|DayPicker)|parts\/query\/QueryBar|parts\/feedback\/start|parts\/value\/(Menu|Value|target|links|compose))\.tsx?$/;

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
    // What the first page needs is one file: many small ones compress worse. The rest is split by what is opened.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "first", test: FIRST }] } },
    },
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
