// What an explanation says beyond the row: the score of each side, the topics of the hosts; and who opened what.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noCommand, serve } from "./own.mjs";
import { api, launch, open, scoredDays, serious, signIn, skip, watch, watchAt } from "./support.mjs";

describe("explanation", { skip }, () => {
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

  for (const source of ["flow", "dns", "proxy"]) {
    test(`${source}: topics of the hosts, with their words, are a table; both sides have their score`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}`);
      const row = (await api(`/api/v1/suspicious/${source}?date=${date}`)).rows[0];
      await page.click(".main-table .grid-row [data-column=time]");
      await page.waitForSelector(".explanation details");
      if (source === "flow") {
        const { deciding_score: deciding, other_score: other } = row.why;
        assert.ok(deciding > 0 && other > 0 && Math.min(deciding, other) === row.standing.score);
        const sides = await page.locator(".explanation table", { hasText: "P(word | host) of each side" }).locator("tr").allTextContents();
        assert.equal(sides.length, 2);
        for (const [at, ip] of [row.src_ip, row.dst_ip].entries()) assert.ok(sides[at].includes(ip), sides[at]);
        const bits = (score) => `${(-Math.log2(score)).toFixed(1)} bits of surprise`;
        const decided = sides.findIndex((text) => text.includes("which decided"));
        assert.ok(sides[decided].includes(bits(deciding)) && sides[1 - decided].includes(bits(other)), sides.join("; "));
      }
      await page.click(".explanation summary");
      await page.waitForSelector(".explanation details table");
      const told = await api(`/api/v1/topics/${source}/${row.record_id}?date=${date}`);
      assert.equal(told.date, date);
      assert.equal(told.hosts.length, source === "flow" ? 2 : 1);
      const tables = page.locator(".explanation details table");
      assert.equal(await tables.count(), told.hosts.length);
      for (const [at, host] of told.hosts.entries()) {
        assert.ok((await tables.nth(at).locator("caption").textContent()).includes(host.host));
        const lines = await tables.nth(at).locator("tbody tr").allTextContents();
        assert.equal(lines.length, host.topics.length);
        const sum = host.topics.reduce((all, topic) => all + topic.host_share, 0);
        assert.ok(lines.length === 5 || sum >= 0.9, String(sum));
        for (const [line, topic] of host.topics.entries()) {
          assert.ok(lines[line].startsWith(String(topic.topic)), lines[line]);
          const { features } = topic.words[0];
          assert.ok(features.length > 1, "the words are taken apart");
        }
      }
      assert.deepEqual(await serious(page), []);
      // The next row has its own.
      await page.keyboard.press("Escape");
      watcher.clean();
    });
  }

  test("opened records are in the audit log with who opened them", async () => {
    const [date] = await scoredDays("flow");
    const row = (await api(`/api/v1/suspicious/flow?date=${date}`)).rows[1];
    await open(page, `#/suspicious/flow?date=${date}&selected=${row.record_id}`);
    await page.waitForSelector(".details .raw .grid-row");
    await page.click("text=All columns");
    await page.waitForSelector("dl.columns");
    const { entries } = await api("/api/v1/audit?limit=50");
    const of = entries.filter((entry) => entry.action === "open" && entry.subject === `flow record ${row.record_id}`);
    assert.equal(of.length, 2, JSON.stringify(entries.slice(0, 6)));
    assert.match(of[1].detail, /^\/api\/v1\/details\/flow src=.*: \d+ rows?$/);
    assert.match(of[0].detail, /^\/api\/v1\/record\/flow\/.*: 1 row$/);
    watcher.clean();
  });
});

describe("explanation of what nobody expects", { skip: skip || noCommand }, () => {
  test("words from the wire stay text, and a model that is gone is said", async () => {
    const hostile = "<img src=x onerror=alert(1)>";
    const ends = { "id.orig_p": 50000, "id.resp_h": "198.51.100.7", "id.resp_p": 80 };
    const request = (n, method) => ({ ...ends, "id.orig_h": `10.0.0.${1 + (n % 3)}`, method, host: "www.example.com", uri: `/${n}`, user_agent: "curl/8", status_code: 200, request_body_len: 0, response_body_len: 512, resp_mime_types: [hostile] });
    const http = Array.from({ length: 12 }, (_, n) => request(n, n === 0 ? hostile : "GET"));
    const server = await serve({ http }, ["--words", "spot"]);
    const browser = await launch();
    try {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
      const page = await context.newPage();
      const watcher = watchAt(page, server.base, ["404"]);
      await page.goto(server.link);
      await page.goto(`${server.base}/#/suspicious/proxy`);
      await page.click(".main-table .grid-row [data-column=time]");
      await page.click(".explanation summary");
      await page.waitForSelector(".explanation details table");
      assert.ok((await page.textContent(".explanation details")).includes("onerror"), "the content type is part of Spot's word");
      assert.equal(await page.$$eval(".explanation img", (all) => all.length), 0);
      server.removeModels();
      await page.click(".explanation summary");
      await page.click(".explanation summary");
      await page.waitForSelector(".explanation details p:has-text('Score the day again')");
      watcher.clean();
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
