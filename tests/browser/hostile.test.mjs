// Text from the wire and from people that tries to be markup: in names, URIs, user agents, hosts, stories, comments, views
// and verdicts. On every page it stays text: nothing runs, nothing is fetched, no element comes of it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DAY, LOGS, noCommand, serve } from "./own.mjs";
import { launch, skip, watchAt } from "./support.mjs";

const PAYLOADS = [
  `<script>window.ran=1</script>`,
  `<img src=//evil.example/x onerror=window.ran=2>`,
  `"><svg onload=window.ran=3>`,
  `'--><iframe src=javascript:parent.ran=4></iframe>`,
  `javascript:window.ran=5`,
  "${window.ran=6}{{window.ran=6}}",
  `</style><style>@import'//evil.example/y'</style>`,
  `[x](javascript:window.ran=7)![y](//evil.example/z)<b onclick=window.ran=7>z</b>`,
  `\u202egnp.exe\u0000\u001b[2J`,
];

describe("hostile text", { skip: skip || noCommand }, () => {
  let browser, server, context, page, watcher;
  before(async () => {
    const each = (record, more) => PAYLOADS.map((text, at) => ({ ...record, ...more(text, at) }));
    const logs = {
      conn: each(LOGS.conn[0], (text) => ({ service: text })),
      dns: each(LOGS.dns[0], (text) => ({ query: text, answers: [text] })),
      http: each(LOGS.http[0], (text) => ({ method: text, host: text, uri: `/${text}`, referrer: `http://h/${text}`, user_agent: text, username: text, resp_mime_types: [text] })),
    };
    // What is usual, so that there is something to stand out from.
    for (const [name, [usual]] of Object.entries(LOGS)) logs[name].push(...Array.from({ length: 60 }, () => usual));
    server = await serve(logs, true);
    browser = await launch();
    context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    page = await context.newPage();
    watcher = watchAt(page, server.base);
    await page.goto(server.link);
    await page.waitForSelector("nav");
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const call = (method, path, body) =>
    page.evaluate(
      async ({ method, path, body }) => {
        const answer = await fetch(path, { method, headers: { "content-type": "application/json" }, ...(body ? { body: JSON.stringify(body) } : {}) });
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
        return text ? JSON.parse(text) : undefined;
      },
      { method, path, body },
    );
  /** What of the page is not the application's own. */
  const foreign = () =>
    page.evaluate(() => ({
      ran: window.ran,
      markup: [...document.querySelectorAll("main img, iframe, object, embed, main script, main style, main b, [onclick], [onerror], [onload]")].map((one) => one.outerHTML.slice(0, 200)),
      links: [...document.querySelectorAll("a[href]")].map((one) => new URL(one.getAttribute("href"), location.href)).filter((url) => url.origin !== location.origin).map(String),
    }));
  const clean = async (where) => {
    assert.deepEqual(await foreign(), { ran: undefined, markup: [], links: [] }, where);
    watcher.clean();
  };

  test("in the lists, the explanations, the raw records and the pictures", async () => {
    for (const [source, column] of [["flow", "src_ip"], ["dns", "qname"], ["proxy", "host"]]) {
      await page.goto(`${server.base}/#/suspicious/${source}?date=${DAY}&groups=off&graph=on`);
      await page.waitForSelector(`.main-table .grid-row [data-column=${column}]`);
      const { rows } = await call("GET", `/api/v1/suspicious/${source}?date=${DAY}&groups=off&limit=200`);
      const hostile = rows.filter((row) => PAYLOADS.some((text) => JSON.stringify(row).includes(JSON.stringify(text).slice(1, 12))));
      if (source !== "flow") assert.ok(hostile.length >= 5, `${source}: ${hostile.length} of ${rows.length} rows are hostile`);
      for (const row of (hostile.length > 0 ? hostile : rows).slice(0, 4)) {
        for (const tab of source === "proxy" ? ["raw", "all"] : ["raw", "around", "all"]) {
          await page.goto(`${server.base}/#/suspicious/${source}?date=${DAY}&groups=off&graph=on&selected=${row.record_id}&tab=${tab}`);
          await page.waitForSelector(tab === "raw" ? ".raw .grid-row" : tab === "all" ? "dl.columns" : ".around .twin, .around svg");
        }
        await clean(`${source} ${row.record_id}`);
      }
      // The menu of a value, and the query it makes.
      await page.click(`.main-table .grid-row [data-column=${column}] [data-field]`, { button: "right" });
      await page.waitForSelector(".value-menu");
      await clean(`${source}, the menu`);
      await page.click(".value-menu >> text=Include");
      await page.waitForURL((url) => url.hash.includes("filter="));
      await page.waitForSelector(".main-table .grid-row");
      await clean(`${source}, filtered`);
    }
  });

  test("on the pages about one thing, for each payload as the thing", async () => {
    const span = `from=${DAY}T00:00:00Z&to=${DAY}T23:59:59Z`;
    for (const [at, text] of PAYLOADS.entries()) {
      for (const place of ["investigate?subject=", "name/"]) {
        const address = place.endsWith("=") ? `${place}${encodeURIComponent(text)}&${span}` : `${place}${encodeURIComponent(text)}?${span}`;
        await page.goto(`${server.base}/#/${address}`);
        await page.waitForSelector(".subject-bar");
        await page.waitForFunction(() => !document.querySelector(".loading"));
      }
      assert.deepEqual(await foreign(), { ran: undefined, markup: [], links: [] }, `payload ${at}`);
    }
    await page.goto(`${server.base}/#/ip/10.0.0.5?${span}`);
    await page.waitForSelector(".timeline .grid-row");
    await page.click(".timeline .grid-row >> nth=0");
    await page.waitForSelector("dialog .record");
    await page.keyboard.press("Escape");
    await page.goto(`${server.base}/#/service/tcp/443?${span}`);
    await page.waitForSelector("#policy");
    assert.deepEqual(await foreign(), { ran: undefined, markup: [], links: [] });
  });

  test("what people write: views, stories, comments", async () => {
    const all = PAYLOADS.slice(0, -1).join("\n\n");
    for (const text of PAYLOADS.slice(0, -1)) await call("POST", "/api/v1/views", { page: "suspicious/dns", name: text.slice(0, 90), query: "v=1", shared: true });
    const story = await call("POST", "/api/v1/stories", { title: PAYLOADS[1], text: all, subject: "10.0.0.5", source: "flow", from: `${DAY}T00:00:00Z`, to: `${DAY}T23:59:59Z` });
    await call("POST", `/api/v1/stories/${story.story_id}/comments`, { text: all });
    await page.goto(`${server.base}/#/storyboard/${story.story_id}`);
    await page.waitForSelector(".story .prose");
    await page.waitForSelector(".comment .said");
    await page.waitForSelector(".drops svg");
    // Bold in Markdown is bold; a tag is text.
    const prose = await page.textContent(".story .prose");
    assert.ok(prose.includes("<script>window.ran=1</script>") && prose.includes("onerror=window.ran=2"), prose);
    await clean("the story");
    await page.goto(`${server.base}/#/suspicious/dns?date=${DAY}`);
    await page.click("button:text-is('Views')");
    await page.waitForSelector(".views .open >> nth=7");
    await clean("the views");
    await page.keyboard.press("Escape");
  });

  test("in the console, the log and the health page", async () => {
    await page.goto(`${server.base}/#/sql?q=${encodeURIComponent("select qname_wire, qname from dns order by 1")}`);
    await page.click(".sql-tools button.primary");
    await page.waitForSelector(".sql-work .grid-row, .sql-work tbody tr");
    await clean("SQL");
    for (const [name, ready] of [["admin", ".admin table"], ["health", ".tiles"], ["live", ".day-charts"], ["ingest", ".time-chart svg"]]) {
      await page.goto(`${server.base}/#/${name}`);
      await page.waitForSelector(ready);
      await clean(name);
    }
  });
});
