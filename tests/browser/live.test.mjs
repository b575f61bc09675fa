// The live page moves while packets are sent over a wire in a network namespace.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { capture, noCommand, noWire, serve, wire } from "./own.mjs";
import { launch, skip, watchAt } from "./support.mjs";

describe("live", { skip: skip || noCommand || noWire }, () => {
  let browser, server, cable, taking;
  before(async () => {
    cable = wire("live");
    server = await serve();
    browser = await launch();
  });
  after(async () => {
    await taking?.stop();
    await browser?.close();
    await server?.stop();
    cable?.remove();
  });

  test("nothing is captured; then traffic moves the page, second by second", async () => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    const watcher = watchAt(page, server.base);
    await page.goto(server.link);
    await page.goto(`${server.base}/#/live?v=1`);
    await page.waitForSelector("text=Nothing is captured right now");
    taking = await capture(cable.namespace, "to", server);
    cable.send(600);
    // Who talks and what is asked for, with hostile names as text.
    await page.waitForSelector("section[aria-label='Top talkers'] td:has-text('198.51.100.7')");
    await page.waitForSelector("section[aria-label='Top names'] td:has-text('live<b>.example')");
    assert.equal(await page.$$eval("section[aria-label='Top names'] b", (all) => all.length), 0);
    // Each second another point.
    const seconds = () => page.$eval(".live-chart .line.s1", (line) => line.getAttribute("d").split("L").filter((point) => !point.endsWith(" 198.0")).length);
    const shown = () => page.$$eval(".live-facts dd strong", (all) => all.map((one) => one.textContent));
    assert.match((await shown())[0], /bit\/s$/);
    const line = await page.getAttribute(".live-chart .line.s1", "d");
    await page.waitForFunction((before) => document.querySelector(".live-chart .line.s1").getAttribute("d") !== before, line);
    assert.ok((await seconds()) > 0);
    // As packets: five of 1,042 bytes in each turn, ten turns a second where the machine keeps up.
    await page.click("[aria-label=Unit] >> text=Packets");
    await page.waitForFunction(() => /^[1-9]\d* pps$/.test(document.querySelector(".live-facts dd strong").textContent));
    // The table twin has the same seconds, latest first.
    await page.click(".live-chart button:text-is('Table')");
    const rows = await page.$$eval(".live-chart .twin tbody tr", (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    assert.ok(rows.some((row) => Number(row[1].replaceAll(",", "")) > 0), JSON.stringify(rows.slice(0, 3)));
    watcher.clean();
  });
});
