// What can be done without a pointer beyond the triage itself: sorting, menus of the tree and the chord diagram, pages; and
// what the health page says.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, drawn, goKeys, inScheme, launch, open, scoredDays, serious, signIn, skip, watch } from "./support.mjs";

describe("keyboard", { skip }, () => {
  let browser, context, page, watcher;
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser));
    watcher = watch(page);
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });
  const params = () => Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.split("?")[1]));

  test("↑ on the first row goes to the heads, Enter sorts there, ↓ comes back", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&groups=off`);
    await page.keyboard.press("j");
    await page.keyboard.press("ArrowUp");
    const head = () => page.evaluate(() => document.activeElement.closest(".head")?.textContent.replace(/[▲▼]/, ""));
    assert.equal(await head(), await page.textContent(".main-table .head:has(button) >> nth=0").then((text) => text.replace(/[▲▼]/, "")));
    for (let presses = 0; presses < 20 && (await head()) !== "Time (UTC)"; presses += 1) await page.keyboard.press("ArrowRight");
    assert.equal(await head(), "Time (UTC)");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.hash.includes("sort=first_seen"));
    await page.waitForSelector(".head[aria-sort=ascending]");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.hash.includes("sort=-first_seen"));
    await page.waitForSelector(".head[aria-sort=descending]");
    const list = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&sort=-first_seen`);
    await page.waitForFunction((id) => document.querySelector(".main-table .grid-row")?.dataset.key === id, list.rows[0].record_id);
    assert.equal((await drawn(page))[1], list.rows[1].record_id);
    await page.keyboard.press("ArrowDown");
    assert.ok(await page.evaluate(() => document.activeElement.matches(".grid")));
    await page.keyboard.press("j");
    await page.waitForSelector(".grid-row.at");
    watcher.clean();
  });

  test("m opens the menu of a branch of the tree", async (t) => {
    const [date] = await scoredDays("proxy");
    if (!date) return t.skip("the lake has no scored proxy records");
    await open(page, `#/suspicious/proxy?date=${date}&graph=on`);
    await page.waitForSelector("[role=treeitem]");
    await page.focus("svg.tree");
    // Root, method, host.
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const host = await page.getAttribute(".branch.at", "data-value");
    assert.equal(await page.getAttribute(".branch.at", "data-field"), "host");
    await page.keyboard.press("m");
    await page.waitForSelector(".value-menu >> text=Include");
    await page.keyboard.press("Escape");
    assert.ok(await page.evaluate(() => document.activeElement.matches("svg.tree")), "the focus is where it was");
    await page.keyboard.press("m");
    await page.waitForSelector(".value-menu");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.equal(params().filter, `host == ${host}`);
    watcher.clean();
  });

  test("↓ and m reach the peers of the chord diagram", async () => {
    const [date] = await scoredDays("flow");
    const row = (await api(`/api/v1/suspicious/flow?date=${date}&limit=1`)).rows[0];
    await open(page, `#/suspicious/flow?date=${date}&selected=${row.record_id}&tab=around`);
    await page.waitForSelector(".chord .ribbon");
    const { peers } = await api(`/api/v1/around/flow?ip=${row.why.host}&date=${date}&limit=20`);
    await page.mouse.move(5, 5);
    await page.focus("svg.chord");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.getAttribute(".arc.at", "data-value"), peers[0].peer);
    await page.waitForSelector(`.around .node-card:has-text('${peers[0].peer}')`);
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowUp");
    assert.equal(await page.getAttribute(".arc.at", "data-value"), peers.at(-1).peer, "it goes round");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("m");
    await page.waitForSelector(".value-menu >> text=Include");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.equal(params().filter, `ip == ${row.why.host}`);
    watcher.clean();
  });

  test("g t is threat investigation, as g i", async () => {
    const [date] = await scoredDays("flow");
    for (const key of ["t", "i"]) {
      await open(page, `#/suspicious/flow?date=${date}`);
      await goKeys(page, key);
      await page.waitForURL((url) => url.hash.startsWith("#/investigate"));
    }
    watcher.clean();
  });

  test("what of the raw records no query knows makes no query with a fault", async () => {
    const [date] = await scoredDays("flow");
    const row = (await api(`/api/v1/suspicious/flow?date=${date}&limit=1`)).rows[0];
    await open(page, `#/suspicious/flow?date=${date}&selected=${row.record_id}`);
    await page.waitForSelector(".raw .grid-row");
    const fields = await page.$$eval(".raw .grid-row:first-child [data-field]", (all) => [...new Set(all.map((one) => one.dataset.field))]);
    assert.ok(fields.length >= 3, `${fields}`);
    for (const field of fields) {
      await page.click(`.raw .grid-row >> nth=0 >> [data-field=${field}]`, { button: "right" });
      await page.waitForSelector(".value-menu");
      if (await page.isVisible(".value-menu >> text=Include")) {
        const { fault } = await api(`/api/v1/query/flow?date=${date}&q=${encodeURIComponent(`${field} exists`)}`);
        assert.equal(fault, null, field);
      } else assert.ok(["exporter_ip", "answers", "damage"].includes(field), field);
      await page.keyboard.press("Escape");
    }
    watcher.clean();
  });

  test("the day above the table says its zone, and leads to its table", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    await page.waitForSelector(".activity .bars");
    assert.equal(await page.textContent(".activity figcaption span"), "00:00 UTC");
    await page.click(".activity a:text-is('Table')");
    await page.waitForSelector(".time-chart svg");
    assert.ok(page.url().includes(`#/ingest/flow?v=1&from=${date}T00%3A00%3A00Z`), page.url());
    await page.click(".chart button:text-is('Table')");
    assert.deepEqual(await page.$$eval(".twin th", (all) => all.map((one) => one.textContent)), ["Time", "Flows", "State"]);
    watcher.clean();
  });

  test("health: what is kept, what goes next, what room is left, and how late records come in", async () => {
    const { keeping, arrivals } = await api("/api/v1/status");
    await page.goto(`${BASE}/#/health`);
    await page.waitForSelector("#kept");
    assert.match(await page.textContent(".tile:has-text('Room left')"), /^Room left[\d.]+ [kMGTP]i?Bof [\d.]+ [kMGTP]i?B/);
    const kept = Object.fromEntries(await page.$$eval(".kept > div", (all) => all.map((one) => [...one.children].map((cell) => cell.textContent))));
    assert.equal(kept["What is kept"], "everything: no spotter run keeps this lake");
    assert.ok(kept["Oldest hour"].startsWith(`${keeping.oldest.from.slice(0, 10)} ${keeping.oldest.from.slice(11, 16)} UTC: `), kept["Oldest hour"]);
    const rows = await page.$$eval("section:has(#arrivals) tbody tr", (all) => all.map((row) => [...row.children].slice(0, 3).map((cell) => cell.textContent)));
    assert.deepEqual(rows, arrivals.map((one) => [one.sensor, one.source, one.rows.toLocaleString("en-US")]));
    for (const colorScheme of ["light", "dark"]) {
      await inScheme(page, colorScheme);
      assert.deepEqual(await serious(page), [], colorScheme);
    }
    watcher.clean();
  });
});
