// What the browser has to fetch, gzipped, must stay within the budgets: the pages are used on slow links too.
//   first screen: the page, its scripts and styles, and those of the suspicious page
//   whole application: every script and style; map data (assets/land-*.json) is counted apart

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const FIRST = 45 * 1024;
const WHOLE = 150 * 1024;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const page = readFileSync(`${dist}index.html`, "utf8");
const manifest = JSON.parse(readFileSync(`${dist}manifest.json`, "utf8"));
const sizes = new Map();
const sizeOf = (file) => {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(dist + file), { level: 9 }).length);
  return sizes.get(file);
};

/** Files that an entry of the manifest needs before it runs. */
function needed(name, found = new Set()) {
  const chunk = manifest[name];
  if (!chunk) {
    console.error(`dist/manifest.json has no ${name}: the budget cannot be checked.`);
    process.exit(1);
  }
  if (found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const style of chunk.css ?? []) found.add(style);
  for (const other of chunk.imports ?? []) needed(other, found);
  return found;
}

const first = needed("src/pages/suspicious/Page.tsx", needed("index.html"));
let faults = 0;
const check = (what, files, budget) => {
  const total = files.reduce((sum, file) => sum + sizeOf(file), 0);
  console.log(`${String(total).padStart(7)} B gzip of ${budget} B  ${what}`);
  if (total > budget) {
    console.error(`The ${what} is over its budget: load what it does not need later, or leave it out.`);
    faults += 1;
  }
};
const all = readdirSync(`${dist}assets`).map((file) => `assets/${file}`);
for (const file of all.toSorted((a, b) => sizeOf(b) - sizeOf(a))) console.log(`${String(sizeOf(file)).padStart(7)} B gzip  ${first.has(file) ? "first " : "      "} ${file}`);
check("first screen", [...first], FIRST);
check("whole application", all.filter((file) => /\.(js|css)$/.test(file)), WHOLE);
if (/<script(?![^>]*\bsrc=)/.test(page) || /<style|\sstyle=/.test(page)) {
  console.error("index.html has inline script or style: the server's policy refuses it.");
  faults += 1;
}
process.exit(faults === 0 ? 0 : 1);
