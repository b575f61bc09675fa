// What the menu of a value does beyond the query: copy, any field, a new tab, score, investigate; and less motion.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, open, scoredDays, signIn, skip, watch } from "./support.mjs";

describe("the menu of a value", { skip }, () => {
  let browser, context, page, watcher, date, row;
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser, { permissions: ["clipboard-read", "clipboard-write"] }));
    watcher = watch(page);
    [date] = await scoredDays("flow");
    row = (await api(`/api/v1/suspicious/flow?date=${date}&limit=1`)).rows[0];
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });

  const menu = async (field) => {
    await open(page, `#/suspicious/flow?date=${date}`);
    await page.click(`.main-table .grid-row >> nth=0 >> [data-field=${field}]`, { button: "right" });
    await page.waitForSelector(".value-menu");
  };
  const press = (text) => page.click(`.value-menu [role=menuitem]:has-text("${text}")`);
  const filter = (on = page) => new URLSearchParams(new URL(on.url()).hash.split("?")[1]).get("filter");

  test("copies the value as it is", async () => {
    await menu("dst_ip");
    await press("Copy");
    await page.waitForSelector(".toast:has-text('Copied')");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), row.dst_ip);
    watcher.clean();
  });

  test("looks for the value in any field", async () => {
    await menu("dst_ip");
    await press("This value in any field");
    await page.waitForURL((url) => url.hash.includes("filter="));
    assert.equal(filter(), row.dst_ip);
    const list = await api(`/api/v1/suspicious/flow?date=${date}&filter=${row.dst_ip}`);
    assert.ok(list.rows.length > 0 && list.rows.every((one) => [one.src_ip, one.dst_ip].includes(row.dst_ip)));
    watcher.clean();
  });

  test("opens the list of this value alone in a new tab, of the same day", async () => {
    await menu("src_ip");
    const [tab] = await Promise.all([context.waitForEvent("page"), press("Only this, in a new tab")]);
    const theirs = watch(tab);
    await tab.waitForSelector(".main-table .grid-row");
    assert.equal(filter(tab), `src_ip == ${row.src_ip}`);
    assert.ok(tab.url().includes(`date=${date}`) && filter() === null);
    theirs.clean();
    await tab.close();
    watcher.clean();
  });

  test("what is known of the value comes without moving an action from under the pointer", async () => {
    for (const nth of [0, 12]) {
      let answer;
      const held = new Promise((resolve) => (answer = resolve));
      await page.route("**/api/v1/context/**", async (route) => {
        await held;
        await route.continue();
      });
      await open(page, `#/suspicious/flow?date=${date}`);
      await page.click(`.main-table .grid-row >> nth=${nth} >> [data-field=src_ip]`, { button: "right" });
      await page.waitForSelector(".value-menu .known-of");
      const places = () => page.$$eval(".value-menu [role=menuitem]", (all) => all.map((one) => one.getBoundingClientRect().top));
      const before = await places();
      answer();
      await page.waitForSelector(".value-menu dl.known-of");
      assert.deepEqual(await places(), before, `row ${nth}`);
      const box = await page.$eval(".value-menu", (menu) => menu.getBoundingClientRect().toJSON());
      assert.ok(box.top >= 0 && box.bottom <= (await page.evaluate(() => innerHeight)), JSON.stringify(box));
      await page.keyboard.press("Escape");
      await page.unroute("**/api/v1/context/**");
    }
    watcher.clean();
  });

  test("begins a score with the value, and says what it reaches", async () => {
    const given = async () => (await api("/api/v1/verdicts")).verdicts.length;
    const before = await given();
    await menu("dst_ip");
    await press("Score …");
    await page.waitForSelector("dialog[open]");
    const texts = await page.$$eval("dialog[open] input", (all) => all.map((one) => one.value));
    assert.ok(texts.includes(row.dst_ip), `${texts}`);
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog[open]", { state: "detached" });
    assert.equal(await given(), before, "nothing is saved");
    watcher.clean();
  });

  test("leads to the investigation of the value on that day", async () => {
    await menu("dst_ip");
    await press("Investigate");
    await page.waitForURL((url) => url.hash.startsWith("#/investigate") && url.hash.includes(encodeURIComponent(row.dst_ip)));
    await page.waitForSelector(".found h2");
    assert.ok((await page.textContent(".found h2")).includes(row.dst_ip));
    watcher.clean();
  });

  test("a link says its day and its time, though nobody chose them", async () => {
    await open(page, "#/suspicious/flow?v=1");
    await page.waitForURL((url) => url.hash.includes(`date=${date}`));
    await page.goto(`${BASE}/#/investigate?v=1&subject=${row.dst_ip}`);
    await page.waitForURL((url) => url.hash.includes("from=") && url.hash.includes("to="));
    await page.waitForSelector(".found h2");
    const shown = page.url();
    await page.reload();
    await page.waitForSelector(".found h2");
    assert.equal(page.url(), shown);
    // Back is where one came from, not the same without its time.
    await page.goBack();
    await page.waitForURL((url) => url.hash.startsWith("#/suspicious/flow"));
    watcher.clean();
  });

  test("who wants less motion sees the graph when it has found its places", async () => {
    const watched = async (reducedMotion) => {
      const own = await signIn(browser, { reducedMotion });
      // Each time the canvas is cleared it is drawn anew.
      await own.page.addInitScript(() => {
        globalThis.drawn = [];
        const clear = CanvasRenderingContext2D.prototype.clearRect;
        CanvasRenderingContext2D.prototype.clearRect = function (...area) {
          globalThis.drawn.push(document.querySelector(".stage")?.dataset.settled);
          return clear.apply(this, area);
        };
      });
      await own.page.reload();
      await open(own.page, `#/suspicious/flow?date=${date}&graph=on`);
      await own.page.waitForSelector('.stage[data-settled="true"]');
      const drawn = await own.page.evaluate(() => globalThis.drawn);
      await own.context.close();
      return drawn;
    };
    const still = await watched("reduce");
    assert.ok(still.length > 0 && !still.includes("false"), `${still}`);
    assert.ok((await watched("no-preference")).includes("false"), "else it is seen on its way");
    watcher.clean();
  });
});
