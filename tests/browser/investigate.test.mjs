// Investigation, one address, one service, storyboard, ingest summary and live, on a real lake.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, scoredDays, signIn, skip, watch } from "./support.mjs";

const HOSTILE = `<script>alert(1)</script><img src=x onerror=alert(2)> "quoted" ![pixel](https://evil.example/p.png) [press](javascript:alert(3)) **loud**`;

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

  test("an address is searched in the raw lake: in, out and two way as the API says", async () => {
    await go(`#/investigate?${params()}`, "#subject");
    await page.fill("#subject", host);
    await page.click(".subject-bar button[type=submit]");
    await page.waitForSelector("#ways");
    const found = await api(`/api/v1/investigation?${new URLSearchParams({ subject: host, ...span })}`);
    const shown = await page.$$eval("section[aria-labelledby=ways] tbody tr", (rows) => rows.map((row) => row.cells[2].textContent));
    assert.deepEqual(
      shown,
      found.ways.map((way) => way.connections.toLocaleString("en-US")),
    );
    assert.ok(shown.length > 0);
    // The address of the page has all of it: a reload shows the same.
    await page.reload();
    await page.waitForSelector("#ways");
    assert.equal(await page.inputValue("#subject"), host);
    watcher.clean();
  });

  test("the connections are grouped by both addresses and ports, and sort", async () => {
    await go(`#/investigate?${params({ subject: host })}`, "#connections");
    await page.click("section[aria-labelledby=connections] >> text=Show");
    await page.waitForSelector("section[aria-labelledby=connections] tbody tr");
    await page.click("section[aria-labelledby=connections] >> role=group[name=Order] >> text=Bytes");
    const rows = await api(`/api/v1/investigation/connections?${new URLSearchParams({ subject: host, ...span, sort: "bytes" })}`);
    await page.waitForFunction((bytes) => document.querySelector("section[aria-labelledby=connections] tbody td:nth-child(11) span")?.title === bytes, `${rows.rows[0].max_bytes.toLocaleString("en-US")} bytes`);
    watcher.clean();
  });

  test("one address: the timeline has every source in order, goes on as one scrolls, and narrows to what is suspicious", async () => {
    await go(`#/ip/${encodeURIComponent(host)}?${params()}`, ".timeline .grid-row");
    const first = await api(`/api/v1/timeline?${new URLSearchParams({ subject: host, ...span, limit: "500" })}`);
    const key = await page.$eval(".timeline .grid-row[aria-rowindex='2']", (row) => row.dataset.key);
    assert.equal(key, `${first.rows[0].source} ${first.rows[0].record_id}`);
    await page.click(".timeline >> text=Suspicious only");
    await page.waitForFunction(() => location.hash.includes("flagged=on"));
    await page.waitForSelector(".timeline .grid-row .pill:text-matches('rank|High')");
    // A record opens, and says where one can go from it.
    await page.click(".timeline .grid-row >> nth=0");
    await page.waitForSelector("dialog .record");
    assert.ok((await page.$$("dialog .pivots a")).length >= 2);
    await page.keyboard.press("Escape");
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

  test("investigate → tell the story → storyboard: hostile text stays text, here and in the report", async () => {
    await go(`#/investigate?${params({ subject: host })}`, ".found");
    await page.click("text=Tell the story …");
    await page.fill("#story-title", `Beacon ${HOSTILE}`.slice(0, 200));
    await page.fill("#story-text", `## What\n\n${HOSTILE}\n\n- one\n- two\n\n> <b>quoted</b>`);
    await page.click("dialog button.primary");
    await page.click(".toast >> text=Open it");
    await page.waitForSelector(".story .prose");
    const prose = await page.$eval(".story .prose", (element) => ({ text: element.textContent, markup: element.querySelectorAll("script, img, b, iframe").length, links: [...element.querySelectorAll("a")].map((link) => link.href) }));
    assert.ok(prose.text.includes("<script>alert(1)</script>"), prose.text);
    assert.deepEqual([prose.markup, prose.links], [0, []]);
    // Every frame is there, and each has its table.
    for (const title of ["Incident progression", "Impact analysis", "Timeline"]) await page.waitForSelector(`figure.chart:has(h2:text-is("${title}"))`);
    await page.click('figure.chart:has(h2:text-is("Impact analysis")) >> text=Table');
    await page.waitForSelector('figure.chart:has(h2:text-is("Impact analysis")) .twin tbody tr');
    await page.click('figure.chart:has(h2:text-is("Impact analysis")) >> text=Table');
    // Drill down and back, by keyboard.
    await page.focus(".impact-row.open");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=‹ Back");
    await page.click("text=‹ Back");
    // A branch closes and opens.
    const nodes = (await page.$$(".node")).length;
    await page.click(".node.kind-way circle >> nth=0");
    assert.ok((await page.$$(".node")).length < nodes);
    // The timeline zooms by the wheel.
    const ticks = () => page.$$eval(".drops .tick", (all) => all.map((one) => one.textContent).join());
    const before = await ticks();
    await page.locator(".drops svg").scrollIntoViewIfNeeded();
    const box = await (await page.$(".drops svg")).boundingBox();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 20);
    await page.mouse.wheel(0, -400);
    await page.waitForFunction((old) => [...document.querySelectorAll(".drops .tick")].map((one) => one.textContent).join() !== old, before);
    await page.fill("#comment", HOSTILE);
    await page.click(".comments button");
    await page.waitForSelector(".comment .said");
    assert.equal(await page.$$eval(".comment script, .comment img", (all) => all.length), 0);
    // The report, opened as a file: no script runs, nothing is fetched.
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Report")]);
    const path = await download.path();
    const html = readFileSync(path, "utf8");
    // What is text may say anything; no tag runs or fetches.
    assert.deepEqual(html.match(/<[^>]*>/g).filter((tag) => /^<(script|img|iframe|object|embed)|\son\w+\s*=|javascript:/i.test(tag)), []);
    const file = await context.newPage();
    const fetched = [];
    file.on("request", (request) => fetched.push(request.url()));
    file.on("dialog", (dialog) => (fetched.push(`dialog ${dialog.message()}`), void dialog.dismiss()));
    await file.setContent(html);
    await file.waitForTimeout(300);
    assert.deepEqual(fetched.filter((url) => !url.startsWith("about:")), []);
    assert.ok((await file.$$("svg")).length >= 2);
    await file.close();
    watcher.clean();
  });

  test("two people edit at a time: the second is told, and keeps the text", async () => {
    const other = await signIn(browser);
    const { stories } = await api("/api/v1/stories");
    const id = stories[0].story_id;
    const open = async (who) => {
      await who.goto(`${BASE}/#/storyboard/${id}`);
      await who.waitForSelector(".story .prose");
      await who.click(".story >> text=Edit");
      await who.waitForSelector("#edit-text");
    };
    await open(page);
    await open(other.page);
    await page.fill("#edit-text", "first");
    await page.click("dialog button.primary");
    await page.waitForSelector("dialog", { state: "detached" });
    await other.page.fill("#edit-text", "second");
    await other.page.click("dialog button.primary");
    await other.page.waitForSelector("dialog .wrong");
    assert.equal(await other.page.inputValue("#edit-text"), "second");
    const { story, versions } = await api(`/api/v1/stories/${id}`);
    assert.deepEqual([story.text, versions.length], ["first", 2]);
    await other.context.close();
    watcher.clean();
  });

  test("a record is pinned from the timeline and stands in the story", async () => {
    const { stories } = await api("/api/v1/stories");
    await go(`#/ip/${encodeURIComponent(host)}?${params()}`, ".timeline .grid-row");
    await page.click(".timeline .grid-row >> nth=0");
    await page.click(".pin-to button");
    await page.waitForSelector(".toast.good");
    const whole = await api(`/api/v1/stories/${stories[0].story_id}`);
    assert.equal(whole.pins.length, 1);
    assert.ok(whole.pins[0].summary.includes(host), whole.pins[0].summary);
    await go(`#/storyboard/${stories[0].story_id}?v=1`, "#pins");
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

  test("a chart whose steps change while its table is open keeps the table", async () => {
    const title = () => page.textContent("figure.chart h2");
    await go("#/ingest?v=1", ".time-chart svg");
    const coarse = await title();
    await page.click("figure.chart >> text=Table");
    await page.waitForSelector(".twin tbody tr");
    await page.evaluate((from) => {
      const [path, query] = location.hash.split("?");
      const params = new URLSearchParams(query);
      params.set("from", from);
      params.set("to", from.replace("T00:", "T01:"));
      location.hash = `${path}?${params}`;
    }, span.from);
    await page.waitForFunction((old) => document.querySelector("figure.chart h2")?.textContent !== old, coarse);
    await page.waitForSelector(".twin tbody tr");
    await page.click("figure.chart >> text=Table");
    await page.waitForSelector(".time-chart svg");
    // An address of before says the steps with the name.
    await go("#/ingest?v=1&tables=records-per-2-h", ".twin tbody tr");
    watcher.clean();
  });

  test("an export is the file its name says, and what the table shows", async () => {
    await go(`#/ip/${encodeURIComponent(host)}?${params({ sources: "flow" })}`, ".timeline .grid-row");
    await page.click(".timeline >> text=Export");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(".exports >> text=Zeek log")]);
    assert.equal(download.suggestedFilename(), "spotter-records-flow.log");
    const text = readFileSync(await download.path(), "utf8");
    const { totals } = await api(`/api/v1/investigation?${new URLSearchParams({ subject: host, ...span })}`);
    assert.equal(text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length, totals.find((total) => total.source === "flow").records);
    watcher.clean();
  });
});
