// The first screen's scripts and styles, gzipped, must stay within the budget: the page is used on slow links too.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = 45 * 1024;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const page = readFileSync(`${dist}index.html`, "utf8");
const files = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((match) => match[1]);
if (files.length < 2) {
  console.error("dist/index.html names no script and style: the budget cannot be checked.");
  process.exit(1);
}
let total = 0;
for (const file of files) {
  const size = gzipSync(readFileSync(dist + file), { level: 9 }).length;
  total += size;
  console.log(`${String(size).padStart(7)} B gzip  ${file}`);
}
console.log(`${String(total).padStart(7)} B of ${BUDGET} B`);
if (/<script(?![^>]*\bsrc=)/.test(page) || /<style|\sstyle=/.test(page)) {
  console.error("index.html has inline script or style: the server's policy refuses it.");
  process.exit(1);
}
if (total > BUDGET) {
  console.error("The first screen is over its budget: load what it does not need later, or leave it out.");
  process.exit(1);
}
