// A lake with nothing in it: every page says so and what to do, and nothing fails. And a narrow window, where nothing
// stands beside the page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noCommand, serve } from "./own.mjs";
import { launch, serious, skip, watchAt } from "./support.mjs";

const SPAN = "from=2026-03-11T00:00:00Z&to=2026-03-12T00:00:00Z";

/** Address → what it says. */
const EMPTY = {
  "suspicious/flow": "The lake is empty",
  "suspicious/dns": "The lake is empty",
  "suspicious/proxy": "The lake is empty",
  "suspicious/flow?date=2026-03-11": "No flow records on 2026-03-11",
  investigate: "Investigate",
  [`investigate?${SPAN}&subject=10.0.0.5`]: "The lake has nothing of it in this time",
  [`ip/10.0.0.5?${SPAN}`]: "No record",
  [`name/www.example.com?${SPAN}`]: "No record",
  [`service/tcp/443?${SPAN}`]: "Nobody used this service in this time",
  storyboard: "No story is told yet",
  live: "Nothing is captured right now",
  ingest: "The lake has no records yet",
  [`ingest?${SPAN}`]: "0 records",
  sql: "Reads only",
  noise: "No rule is in force",
  health: "spotter import",
  admin: "There are none yet",
  account: "You came by the console's one-time link",
};

describe("an empty lake", { skip: skip || noCommand }, () => {
  let browser, server, context;
  before(async () => {
    server = await serve({});
    browser = await launch();
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(server.link);
    await page.waitForSelector("nav");
    await page.close();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  for (const [hash, says] of Object.entries(EMPTY)) {
    test(hash, async () => {
      const page = await context.newPage();
      const watcher = watchAt(page, server.base);
      const failed = [];
      page.on("response", (response) => response.status() >= 400 && failed.push(`${response.status()} ${response.url()}`));
      await page.goto(`${server.base}/#/${hash}`);
      await page.waitForSelector(`main :text(${JSON.stringify(says)})`, { timeout: 10_000 });
      await page.waitForFunction(() => !document.querySelector(".loading"));
      assert.deepEqual(failed, []);
      const text = await page.textContent("main");
      assert.ok(!/NaN|undefined|Infinity|Invalid Date/.test(text), text);
      assert.deepEqual(await serious(page), []);
      if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/empty-${hash.replace(/\W+/g, "-").slice(0, 40)}.png` });
      // On a phone's width nothing makes the whole page scroll sideways.
      await page.setViewportSize({ width: 420, height: 800 });
      await page.waitForTimeout(100);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${wide} px wider than the window`);
      watcher.clean();
      await page.close();
    });
  }
});
