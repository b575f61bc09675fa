// A real Chromium against a running `spotter serve`.
//
//   SPOTTER_URL    http://127.0.0.1:PORT
//   SPOTTER_TOKEN  the API token that `spotter serve` prints
//   CHROMIUM       the browser, /usr/bin/chromium if not set
//
// Every page is watched: an error on the console, an uncaught error, a request to another origin, or an answer of 500 or
// more fails the test that made it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const BASE = process.env.SPOTTER_URL?.replace(/\/$/, "");
const TOKEN = process.env.SPOTTER_TOKEN;
/** Why the tests cannot run, or false. */
export const skip = BASE && TOKEN ? false : "SPOTTER_URL and SPOTTER_TOKEN are not set: no server to test";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A page behind another one is not slowed down: tests with two people have two.
      "--disable-renderer-backgrounding",
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
    ],
  });
}

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const response = await fetch(BASE + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

/** GET of the API, as a script does it. */
export const api = (path) => call("GET", path);

/** POST to the API, as a script does it. */
export const post = (path, body) => call("POST", path, body);

/** A browser profile of its own, signed in by a one-time link. */
export async function signIn(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const { url } = await call("POST", "/api/v1/links");
  await page.goto(url);
  assert.equal(new URL(page.url()).search, "", "the secret stays in no address");
  await page.waitForSelector("nav");
  return { context, page };
}

/** Collects what must not happen. `expected`: texts of console errors that the test causes on purpose. */
export const watch = (page, expected) => watchAt(page, BASE, expected);

/** The same, of a server at `base`. */
export function watchAt(page, base, expected = []) {
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected.some((text) => message.text().includes(text))) {
      wrong.push(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => wrong.push(`uncaught: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !url.startsWith("data:")) wrong.push(`off-origin request: ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 500) wrong.push(`${response.status()}: ${response.url()}`);
  });
  return { clean: () => assert.deepEqual(wrong, []) };
}

/** Opens a view and waits for its rows. */
export async function open(page, hash) {
  await page.goto(`${BASE}/${hash}`);
  await page.waitForSelector(".main-table .grid-row");
}

/** `g` and a letter, sent together: the second must come within a second, however busy the machine is. */
export async function goKeys(page, key) {
  await Promise.all([page.keyboard.press("g"), page.keyboard.press(key)]);
}

/** record_ids of the rows that are drawn, in order. */
export async function drawn(page) {
  const rows = await page.$$eval(".main-table .grid-row", (rows) =>
    rows.map((row) => [Number(row.getAttribute("aria-rowindex")), row.dataset.key]),
  );
  return rows.sort((a, b) => a[0] - b[0]).map(([, key]) => key);
}

/** What pages are opened with: of each source the first day and its first row, the host and the name that stand there, and the span of that day. */
export async function subjects() {
  const found = { days: {}, row: {} };
  for (const source of ["flow", "dns", "proxy"]) {
    [found.days[source]] = await scoredDays(source);
    const { rows } = await api(`/api/v1/suspicious/${source}?date=${found.days[source]}&limit=1`);
    found.row[source] = rows[0].record_id;
    if (source === "flow") found.host = rows[0].why.host;
    if (source === "dns") found.name = rows[0].qname;
  }
  const next = new Date(Date.parse(`${found.days.flow}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
  return { ...found, from: `${found.days.flow}T00:00:00Z`, to: `${next}T00:00:00Z` };
}

/** The days that are scored for a source, latest first. */
export async function scoredDays(source) {
  const { days } = await api("/api/v1/days");
  return days.filter((day) => day[source].scored > 0).map((day) => day.date);
}

/** Light or dark, when the colours have got there. */
export async function inScheme(page, colorScheme) {
  await page.emulateMedia({ colorScheme });
  // Not for ever: a page that is not drawn has them stand still.
  await page.evaluate(() => Promise.race([Promise.allSettled(document.getAnimations().map((one) => one.finished)), new Promise((done) => setTimeout(done, 1000))]));
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * What axe-core finds serious or critical on the page that is shown: by all rules, or those of `only`. Of long tables it
 * looks at the first rows; the others are drawn by the same code.
 */
export async function serious(page, only) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const { violations } = await page.evaluate((only) => globalThis.axe.run({ include: document, exclude: [[".grid-row:nth-child(n + 14)"], ["tbody tr:nth-child(n + 14)"]] }, { resultTypes: ["violations"], ...(only ? { runOnly: only } : {}) }), only);
  return violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
}
