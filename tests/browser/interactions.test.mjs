// What one does with the pictures, as Apache Spot had it: turn, zoom, drag, right click, double click, fill the window.
// docs/interactions.md says which line of Spot's user guide is shown where.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, open, scoredDays, signIn, skip, watch } from "./support.mjs";

describe("interactions", { skip }, () => {
  let browser, context, page, watcher, days;
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser));
    // The tests read the canvas, which Chromium remarks upon.
    watcher = watch(page, ["willReadFrequently"]);
    days = {};
    for (const source of ["flow", "dns", "proxy"]) [days[source]] = await scoredDays(source);
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });

  const top = async (source) => (await api(`/api/v1/suspicious/${source}?date=${days[source]}&limit=1`)).rows[0];
  const middle = async (selector) => {
    const box = await page.locator(selector).first().boundingBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const filter = () => new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("filter");
  /** Moves over the graph until a node answers. */
  const findNode = async () => {
    await page.waitForSelector('.stage[data-settled="true"]');
    const box = await page.locator(".stage").boundingBox();
    // From the middle, where they are dense, up and down.
    const lines = Array.from({ length: Math.floor(box.height / 8) }, (_, at) => at * 8 + 4).sort((a, b) => Math.abs(a - box.height / 2) - Math.abs(b - box.height / 2));
    // The card is drawn some frames after the pointer has come.
    const card = () =>
      page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector(".node-card .strong")?.textContent)))),
      );
    for (const y of lines) {
      for (let x = box.width * 0.25; x < box.width * 0.9; x += 8) {
        // Whole pixels, as mice have them: a click rounds, and beside the edge of a node hits nothing.
        const place = [Math.round(box.x + x), Math.round(box.y + y)];
        await page.mouse.move(...place);
        const name = await card();
        if (name !== undefined) return [...place, name];
      }
    }
    assert.fail("no node under the pointer");
  };

  test("a row under the pointer is lit in the network view, and the rest of it fades", async () => {
    await open(page, `#/suspicious/flow?date=${days.flow}&graph=on`);
    await page.waitForSelector('.stage[data-settled="true"]');
    const inked = () =>
      page.$eval(".stage canvas", (canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let at = 3; at < data.length; at += 4) sum += data[at];
        return sum;
      });
    await page.mouse.move(5, 5);
    const before = await inked();
    await page.hover(".main-table .grid-row >> nth=1");
    await page.waitForFunction(
      ([least, selector]) => {
        const canvas = document.querySelector(selector);
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let at = 3; at < data.length; at += 4) sum += data[at];
        return sum < least;
      },
      [before * 0.8, ".stage canvas"],
    );
    watcher.clean();
  });

  test("right click on a node filters by it", async () => {
    await open(page, `#/suspicious/flow?date=${days.flow}&graph=on`);
    const [x, y, name] = await findNode();
    await page.mouse.click(x, y, { button: "right" });
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.ok(filter().includes(name), `${filter()} names ${name}`);
    watcher.clean();
  });

  test("a node is dragged, the graph zooms by wheel, buttons and keys, and fits again", async () => {
    await open(page, `#/suspicious/flow?date=${days.flow}&graph=on`);
    const picture = () => page.$eval(".stage canvas", (canvas) => canvas.toDataURL());
    const changes = async (act) => {
      const before = await picture();
      await act();
      await page.waitForFunction((old) => document.querySelector(".stage canvas").toDataURL() !== old, before);
    };
    const [x, y] = await findNode();
    await changes(async () => {
      await page.mouse.down();
      await page.mouse.move(x + 40, y + 25, { steps: 5 });
      await page.mouse.up();
    });
    assert.ok(!page.url().includes("tab=around"), "a drag is no click");
    const box = await page.locator(".stage").boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await changes(() => page.mouse.wheel(0, -300));
    await changes(() => page.click(".picture button[aria-label='Zoom out']"));
    await changes(() => page.focus(".stage").then(() => page.keyboard.press("+")));
    await changes(() => page.click(".picture button:text-is('Fit')"));
    watcher.clean();
  });

  test("left click on a client draws its names; right click on a name filters by it", async () => {
    const row = await top("dns");
    await open(page, `#/suspicious/dns?date=${days.dns}&selected=${row.record_id}&tab=around`);
    await page.waitForSelector(".around .branch.client");
    assert.ok((await page.textContent(".around .branch.client")).includes(row.client_ip));
    const transform = () => page.getAttribute(".around svg.tree > g", "transform");
    const before = await transform();
    await page.click(".around button[aria-label='Zoom in']");
    assert.notEqual(await transform(), before);
    const zoomed = await transform();
    const [x, y] = await middle(".around .stage");
    await page.mouse.move(x, y + 60);
    await page.mouse.down();
    await page.mouse.move(x + 30, y + 20, { steps: 4 });
    await page.mouse.up();
    assert.notEqual(await transform(), zoomed, "a drag moves it");
    const name = page.locator(".around .branch.name").first();
    const value = await name.getAttribute("data-value");
    await name.dispatchEvent("contextmenu", { bubbles: true, clientX: 300, clientY: 300 });
    await page.click(".value-menu >> text=Only this >> nth=0");
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.ok(filter().includes(value), filter());
    watcher.clean();
  });

  test("the chord diagram turns by drag and by keys, and says the share of who is under the pointer", async () => {
    const row = await top("flow");
    await open(page, `#/suspicious/flow?date=${days.flow}&selected=${row.record_id}&tab=around`);
    await page.waitForSelector(".chord .ribbon");
    const turned = () => page.getAttribute(".chord > g", "transform");
    assert.equal(await turned(), "rotate(0)");
    await page.focus(".chord");
    await page.keyboard.press("ArrowRight");
    assert.equal(await turned(), "rotate(15)");
    const [x, y] = await middle(".chord");
    await page.mouse.move(x + 60, y);
    await page.mouse.down();
    await page.mouse.move(x, y + 60, { steps: 6 });
    await page.mouse.up();
    const angle = Number(/-?[\d.]+/.exec(await turned())[0]);
    assert.ok(Math.abs(angle - 105) < 3, `a quarter further: ${angle}`);
    await page.locator(".chord .ribbon").first().dispatchEvent("pointerenter");
    await page.waitForSelector(".chord-stage .node-card .strong");
    assert.match(await page.textContent(".chord-stage .node-card"), /sent to it .*%\), received .*%\)/);
    watcher.clean();
  });

  test("the tree of requests: double click opens and closes, on the root all; right click filters", async () => {
    await open(page, `#/suspicious/proxy?date=${days.proxy}&graph=on`);
    await page.waitForSelector("[role=treeitem]");
    const items = () => page.$$eval("[role=treeitem]", (found) => found.length);
    const start = await items();
    const root = page.locator("[role=treeitem]").first();
    await root.dispatchEvent("dblclick");
    await page.waitForFunction((start) => document.querySelectorAll("[role=treeitem]").length > start, start);
    await root.dispatchEvent("dblclick");
    await page.waitForFunction((start) => document.querySelectorAll("[role=treeitem]").length === start, start);
    const method = page.locator("[role=treeitem][aria-level='2']").first();
    await method.dispatchEvent("dblclick");
    await page.waitForFunction((start) => document.querySelectorAll("[role=treeitem]").length < start, start);
    await method.dispatchEvent("dblclick");
    await page.waitForFunction((start) => document.querySelectorAll("[role=treeitem]").length === start, start);
    const host = page.locator("[role=treeitem][aria-level='3']").first();
    const value = await host.getAttribute("data-value");
    await host.dispatchEvent("contextmenu", { bubbles: true, clientX: 900, clientY: 300 });
    await page.click(".value-menu >> text=Only this >> nth=0");
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.ok(filter().includes(value), filter());
    watcher.clean();
  });

  test("a picture fills the window and comes back by Esc; r reads the list again", async () => {
    await open(page, `#/suspicious/flow?date=${days.flow}&graph=on`);
    await page.click(".picture button[aria-label='Fill the window']");
    const box = await page.locator(".picture").boundingBox();
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 1440, 900]);
    await page.keyboard.press("Escape");
    assert.ok((await page.locator(".picture").boundingBox()).width < 1000);
    await page.focus(".main-table .grid");
    const [asked] = await Promise.all([page.waitForRequest((request) => request.url().includes("/api/v1/suspicious/flow?")), page.keyboard.press("r")]);
    assert.ok(asked.url().includes(`date=${days.flow}`));
    watcher.clean();
  });

  test("the ingest chart says the sum of what it shows, and a double press goes back", async () => {
    await page.goto(`${BASE}/#/ingest?v=1`);
    await page.waitForSelector(".time-chart svg");
    const sum = () => page.textContent(".subject-bar [role=status]");
    const whole = await sum();
    assert.match(whole, /^[\d,]+ records, per /);
    const box = await page.locator(".time-chart svg").boundingBox();
    await page.mouse.move(box.x + box.width * 0.85, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.95, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction((old) => document.querySelector(".subject-bar [role=status]")?.textContent.match(/^[\d,]+ records/) && document.querySelector(".subject-bar [role=status]").textContent !== old, whole);
    await page.waitForFunction(() => !document.querySelector(".loading"));
    await page.click("text=Last 7 days");
    await page.waitForFunction((old) => document.querySelector(".subject-bar [role=status]")?.textContent === old, whole);
    watcher.clean();
  });

  test("a graph of more than a thousand nodes finds its places, and each answers to the keyboard", async () => {
    const list = await api(`/api/v1/suspicious/flow?date=${days.flow}&groups=off&limit=1`);
    const [row] = list.rows;
    // A hub and a thousand peers, each with rank and record of its own.
    const rows = Array.from({ length: 1000 }, (_, at) => ({ ...row, record_id: at.toString(16).padStart(32, "0"), src_ip: "10.9.9.9", dst_ip: `198.18.${at >> 8}.${at & 255}`, standing: { ...row.standing, rank: at + 1 } }));
    const whole = { ...list, rows, matching: 1000, groups: 1000, next_cursor: null };
    await page.route("**/api/v1/suspicious/flow?*", (route) => route.fulfill({ json: whole }));
    await open(page, `#/suspicious/flow?date=${days.flow}&groups=off&graph=on`);
    await page.waitForSelector('.stage[data-settled="true"]', { timeout: 60_000 });
    assert.match(await page.getAttribute(".picture .drawing", "aria-label"), /^1,001 nodes and 1,000 links of the 1,000 rows/);
    const inks = await page.$eval(".stage canvas", (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let inked = 0;
      for (let at = 3; at < data.length; at += 4) if (data[at]) inked += 1;
      return inked;
    });
    assert.ok(inks > 5000, `${inks} pixels are drawn`);
    await page.focus(".stage");
    // By rank: the hub and the first peer come first, the last peer is one step back.
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(".node-card:has-text('10.9.9.9'), .node-card:has-text('198.18.0.0')");
    await page.keyboard.press("ArrowLeft");
    await page.waitForSelector(".node-card:has-text('198.18.3.231')");
    await page.unroute("**/api/v1/suspicious/flow?*");
    watcher.clean();
  });

  test("the list is scrolled to its end, however long, and few of its rows are drawn", async () => {
    const asked = `/api/v1/suspicious/flow?date=${days.flow}&groups=off`;
    const { matching } = await api(`${asked}&limit=1`);
    assert.ok(matching > 600, `${matching} rows`);
    // Afresh: the list of the test before is not the server's.
    await page.goto("about:blank");
    await open(page, `#/suspicious/flow?date=${days.flow}&groups=off`);
    const last = () => page.evaluate(() => Math.max(...[...document.querySelectorAll(".main-table .grid-row")].map((row) => Number(row.getAttribute("aria-rowindex")) - 1)));
    let most = 0;
    for (let turn = 0; turn < 400 && (await last()) < matching; turn += 1) {
      await page.$eval(".main-table .grid", (grid) => (grid.scrollTop = grid.scrollHeight));
      await page.waitForTimeout(50);
      most = Math.max(most, await page.$$eval(".main-table .grid-row", (rows) => rows.length));
    }
    assert.equal(await last(), matching);
    assert.ok(most < 120, `${most} rows are drawn at a time`);
    const ranks = await page.$$eval(".main-table .grid-row", (rows) => rows.map((row) => [Number(row.getAttribute("aria-rowindex")), row.dataset.key]).sort((a, b) => a[0] - b[0]).map(([, key]) => key));
    const tail = await api(`${asked}&sort=-rank&limit=20`);
    assert.deepEqual(ranks.slice(-20).reverse(), tail.rows.map((row) => row.record_id), "the last rows are those of the last ranks");
    watcher.clean();
  });
});
