// Investigation, one service and the ingest summary, on a real lake.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, scoredDays, signIn, skip, watch } from "./support.mjs";

describe("investigate", { skip }, () => {
  let browser, context, page, watcher, date, span, host;
  const params = (more = {}) => new URLSearchParams({ v: "1", ...span, ...more });
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser));
    watcher = watch(page);
    [date] = await scoredDays("flow");
    const next = new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
    span = { from: `${date}T00:00:00Z`, to: `${next}T00:00:00Z` };
    const list = await api(`/api/v1/suspicious/flow?date=${date}&limit=1`);
    host = list.rows[0].why.host;
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });

  const go = async (hash, selector) => {
    await page.goto(`${BASE}/${hash}`);
    await page.waitForSelector(selector, { timeout: 30_000 });
  };

  test("the connections are grouped by both addresses and ports, and sort", async () => {
    await go(`#/investigate?${params({ subject: host })}`, "#connections");
    await page.click("section[aria-labelledby=connections] >> text=Show");
    await page.waitForSelector("section[aria-labelledby=connections] tbody tr");
    await page.click("section[aria-labelledby=connections] >> role=group[name=Order] >> text=Bytes");
    const rows = await api(`/api/v1/investigation/connections?${new URLSearchParams({ subject: host, ...span, sort: "bytes" })}`);
    await page.waitForFunction((bytes) => document.querySelector("section[aria-labelledby=connections] tbody td:nth-child(11) span")?.title === bytes, `${rows.rows[0].max_bytes.toLocaleString("en-US")} bytes`);
    watcher.clean();
  });

  test("one service: who, what is new, what crosses the border", async () => {
    const found = await api(`/api/v1/service/tcp/443?${new URLSearchParams(span)}`);
    await go(`#/service/tcp/443?${params()}`, "#policy");
    const shown = await page.$eval(".facts dd strong", (element) => element.textContent);
    assert.equal(shown, found.connections.toLocaleString("en-US"));
    assert.equal((await page.$$("section[aria-labelledby=policy] tbody tr")).length, found.borders.length);
    watcher.clean();
  });

  test("ingest summary: the last 7 days, gaps told apart, a drag zooms", async () => {
    await go("#/ingest?v=1", ".time-chart svg");
    const steps = await page.textContent(".subject-bar [role=status]");
    const box = await (await page.$(".time-chart svg")).boundingBox();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(() => location.hash.includes("from="));
    await page.waitForFunction((old) => document.querySelector(".subject-bar [role=status]")?.textContent !== old, steps);
    await page.click("figure.chart >> text=Table");
    await page.waitForSelector(".twin tbody tr");
    watcher.clean();
  });
});
