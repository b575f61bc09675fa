// What an address says: marks, open groups and branches, added neighbours, orders and steps. A reload and another browser
// show it again; saved views of the pages about one thing keep it.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { api, BASE, launch, open, post, signIn, skip, subjects, watch } from "./support.mjs";

describe("addresses", { skip }, () => {
  let browser, context, page, watcher, other, others, found, span;
  before(async () => {
    browser = await launch();
    ({ context } = await signIn(browser));
    ({ context: others, page: other } = await signIn(browser));
    found = await subjects();
    span = { from: found.from, to: found.to };
  });
  after(async () => {
    await context?.close();
    await others?.close();
    await browser?.close();
  });
  beforeEach(async () => {
    await page?.close();
    page = await context.newPage();
    // A record that is not there, and a query that is none, are asked for on purpose.
    watcher = watch(page, ["404 (Not Found)", "400 (Bad Request)"]);
  });

  const params = () => {
    const { v, ...rest } = Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.split("?")[1]));
    return rest;
  };
  /** The same after a reload, and by the same link in another browser. */
  const again = async (look, ready) => {
    const address = page.url();
    const wanted = await look(page);
    await page.reload();
    await ready(page);
    assert.deepEqual(await look(page), wanted, "after a reload");
    await other.goto("about:blank");
    await other.goto(address);
    await ready(other);
    assert.deepEqual(await look(other), wanted, "in another browser");
    assert.equal(page.url(), address);
  };
  const go = async (hash, selector) => {
    await page.goto(`${BASE}/${hash}`);
    await page.waitForSelector(selector, { timeout: 30_000 });
  };

  test("marks and open groups of the list", async () => {
    const { rows } = await api(`/api/v1/suspicious/flow?date=${found.days.flow}`);
    const group = rows.findIndex((row) => row.standing.group_size > 1);
    assert.ok(group >= 0, "a group of more than one");
    await open(page, `#/suspicious/flow?date=${found.days.flow}`);
    await page.focus(".main-table .grid");
    for (const key of ["Home", "x", "j", "x", "Home", ...Array(group).fill("j"), "ArrowRight"]) await page.keyboard.press(key);
    const ready = async (on) => {
      await on.waitForSelector(".main-table .member");
      await on.waitForSelector("button:text-is('Score 2 marked …')");
    };
    await ready(page);
    await page.waitForFunction(() => location.hash.includes("open=") && location.hash.includes("marks="));
    assert.deepEqual([params().marks.split(" "), params().open], [[rows[0].record_id, rows[1].record_id], rows[group].standing.group_id]);
    const look = (on) => on.$$eval(".main-table .grid-row", (all) => all.map((row) => [row.dataset.key, row.matches(".marked"), row.matches(".member")]).filter(([, marked, member]) => marked || member));
    await again(look, ready);
    // Taken away, they leave the address; another day has none.
    await page.click("button:text-is('Clear marks')");
    await page.waitForFunction(() => !location.hash.includes("marks="));
    // What an address says that is nothing is as if it were not there.
    await page.goto("about:blank");
    await open(page, `#/suspicious/flow?date=${found.days.flow}&marks=${"f".repeat(32)}+x+${rows[0].record_id}&open=zz`);
    await page.waitForSelector("button:text-is('Score 1 marked …')");
    await page.waitForFunction((id) => new URLSearchParams(location.hash.split("?")[1]).get("marks") === id, rows[0].record_id);
    watcher.clean();
    // More than an address is followed in: said, and the first are there again.
    const many = Array.from({ length: 120 }, (_, at) => at.toString(16).padStart(16, "0"));
    await open(page, `#/suspicious/flow?date=${found.days.flow}&open=${many.join("+")}`);
    await page.waitForSelector(".toast:has-text('names 120 of them: the first 100')");
  });

  test("neighbours added to the graph, and open branches of the tree", async () => {
    await open(page, `#/suspicious/flow?date=${found.days.flow}&graph=on`);
    await page.waitForSelector(".picture .stage[data-settled=true]");
    const look = (on) => on.getAttribute(".picture .drawing", "aria-label");
    const says = (on, text, is) => on.waitForFunction(([text, is]) => (document.querySelector(".picture .drawing")?.getAttribute("aria-label") === text) === is, [text, is]);
    const before = await look(page);
    await page.focus(".picture .stage");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("e");
    await page.waitForFunction(() => location.hash.includes("grown="));
    await says(page, before, false);
    const now = await look(page);
    await again(look, (on) => says(on, now, true));

    await open(page, `#/suspicious/proxy?date=${found.days.proxy}&graph=on`);
    await page.waitForSelector("svg.tree [role=treeitem]");
    const items = (on) => on.$$eval("[role=treeitem]", (all) => all.map((one) => one.getAttribute("aria-label")));
    const closed = await items(page);
    await page.focus("svg.tree");
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
    await page.waitForFunction((count) => document.querySelectorAll("[role=treeitem]").length > count, closed.length);
    await page.waitForFunction(() => location.hash.includes("branches="));
    const open1 = (await items(page)).length;
    await again(items, (on) => on.waitForFunction((count) => document.querySelectorAll("[role=treeitem]").length === count, open1));
    await page.click(".picture button:text-is('Close')");
    await page.waitForFunction(() => !location.hash.includes("branches="));
    assert.deepEqual(await items(page), closed);
    watcher.clean();
  });

  test("orders and steps on Investigate, Storyboard and Live", async () => {
    const pressed = (on) => on.$$eval("button[aria-pressed=true]", (all) => all.map((one) => one.textContent));
    await go(`#/investigate?${new URLSearchParams({ subject: found.host, ...span })}`, "#connections");
    await page.click("section[aria-labelledby=peers] >> text=Top by connections");
    await page.click("section[aria-labelledby=peers] >> text=Outbound");
    await page.click("section[aria-labelledby=connections] >> text=Show");
    await page.click("section[aria-labelledby=connections] >> role=group[name=Order] >> text=First seen");
    const listed = (on) => on.waitForSelector("section[aria-labelledby=connections] tbody tr");
    await listed(page);
    assert.deepEqual(await pressed(page), ["Top by connections", "Outbound", "First seen"]);
    await again(async (on) => [await pressed(on), await on.$$eval("section[aria-labelledby=peers] tbody tr, section[aria-labelledby=connections] tbody tr", (rows) => rows.map((row) => row.textContent))], listed);

    const { story_id: id } = await post("/api/v1/stories", { title: "Steps", subject: found.host, source: "flow", from: span.from, to: span.to, text: "" });
    await go("#/storyboard", ".drops svg");
    assert.equal(new URL(page.url()).hash.split("?")[0], `#/storyboard/${id}`, "the latest story is in the address");
    await page.click(".node.kind-way circle >> nth=0");
    await page.focus(".impact-row.open");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=‹ Back");
    await page.focus(".drops svg");
    for (const key of ["+", "+", "ArrowRight"]) await page.keyboard.press(key);
    await page.waitForFunction(() => location.hash.includes("seen=") && location.hash.includes("into=") && location.hash.includes("closed="));
    const board = async (on) => [
      (await on.$$(".node")).length,
      await on.textContent(".impact .crumbs"),
      await on.$$eval(".drops .tick", (all) => all.map((one) => one.textContent)),
    ];
    await again(board, async (on) => {
      await on.waitForSelector("text=‹ Back");
      await on.waitForSelector(".drops .tick");
    });

    await go("#/live", ".subject-bar [aria-label=Unit]");
    await page.click(".subject-bar >> text=Packets");
    await page.click("figure.chart:has(h2:text-is('Bytes in and out per day')) button:text-is('Table')");
    await page.waitForFunction(() => location.hash.includes("unit=packets") && location.hash.includes("tables="));
    await again(pressed, (on) => on.waitForSelector("figure.chart .twin"));

    await go(`#/ip/${encodeURIComponent(found.host)}?${new URLSearchParams(span)}`, ".timeline .grid-row");
    await page.click(".timeline .grid-row >> nth=1");
    await again((on) => on.textContent("dialog .record"), (on) => on.waitForSelector("dialog .record"));
    watcher.clean();
  });

  test("Apache Spot's links to the storyboard and the investigation mean their source and day", async () => {
    const tell = (source, subject) => post("/api/v1/stories", { title: `Of ${source}`, subject, source, from: span.from, to: span.to, text: "" });
    await tell("flow", found.host);
    const { story_id: id } = await tell("dns", found.name);
    const titles = () => page.$$eval(".briefing li strong", (all) => all.map((one) => one.textContent));
    await go(`files/ui/dns/storyboard.html#date=${found.days.dns}`, ".briefing li");
    await page.waitForURL((url) => url.hash.startsWith(`#/storyboard/${id}?`));
    assert.deepEqual([await titles(), params()], [["Of dns"], { date: found.days.dns, source: "dns" }]);
    await page.click(".briefing >> text=All");
    await page.waitForFunction(() => document.querySelectorAll(".briefing li").length >= 2);
    assert.ok((await titles()).includes("Of flow"));
    await go("files/ui/dns/storyboard.html#date=2016-01-01", "text=No story is told of this");
    const { verdicts } = await post("/api/v1/verdicts", { verdicts: [{ source: "flow", record_id: found.row.flow, date: found.days.flow, scope: "record", severity: 1 }] });
    await go(`files/ui/flow/threat-investigation.html#date=${found.days.flow}`, "section[aria-labelledby=high] tbody tr");
    await page.waitForSelector("#high .pill:text-is('Flows')");
    await go(`files/ui/dns/threat-investigation.html#date=${found.days.dns}`, "#high .pill:text-is('DNS')");
    assert.equal((await page.$$("section[aria-labelledby=high] tbody tr")).length, 0);
    await page.click("#high >> text=All");
    await page.waitForSelector("section[aria-labelledby=high] tbody tr");
    assert.equal(await page.evaluate((id) => fetch(`/api/v1/verdicts/${id}`, { method: "DELETE" }).then((answer) => answer.status), verdicts[0].id), 200);
    watcher.clean();
  });

  test("views are saved of every page that has a state, and links begin with the one that is chosen", async () => {
    const menu = () => page.click("button:text-is('Views')");
    const save = async (name) => {
      await menu();
      await page.fill(".views form input:not([type])", name);
      await page.click(".views form button:text-is('Save')");
      await page.waitForSelector(`.views .open:has-text('${name}')`);
    };
    const remove = async (name) => {
      await page.click(`[aria-label='Delete the view ${name}']`);
      await page.waitForSelector("text=No view is saved yet.");
      await page.keyboard.press("Escape");
    };
    const places = [
      [`#/investigate?${new URLSearchParams({ subject: found.host, ...span, order: "rank_connections" })}`, "#peers", `#/investigate?${new URLSearchParams({ subject: "10.0.0.0/8", ...span })}`],
      [`#/service/tcp/443?${new URLSearchParams(span)}`, "#policy", `#/service/udp/53?${new URLSearchParams(span)}`],
      [`#/name/${found.name}?${new URLSearchParams({ ...span, order: "desc" })}`, ".timeline", `#/name/example.com?${new URLSearchParams(span)}`],
      [`#/storyboard?${new URLSearchParams({ subject: found.host, ...span, bars: "count" })}`, ".frames", `#/storyboard?${new URLSearchParams({ subject: found.name, ...span })}`],
      [`#/live?${new URLSearchParams({ ...span, unit: "packets" })}`, "#days", `#/live?${new URLSearchParams(span)}`],
    ];
    for (const [there, ready, elsewhere] of places) {
      await go(there, ready);
      const [path, wanted] = [new URL(page.url()).hash.split("?")[0], params()];
      await save("kept");
      await page.keyboard.press("Escape");
      await go(elsewhere, ".subject-bar");
      await menu();
      await page.click(".views .open:has-text('kept')");
      await page.waitForSelector(ready);
      assert.deepEqual([new URL(page.url()).hash.split("?")[0], params()], [path, wanted], there);
      await menu();
      await page.waitForSelector(".views .open");
      await remove("kept");
    }
    // An address's page begins with what is suspicious: links to it say so, and the link of somebody else is as it was sent.
    await go(`#/ip/${encodeURIComponent(found.host)}?${new URLSearchParams({ ...span, flagged: "on" })}`, ".timeline");
    await save("suspicious");
    await page.click("[aria-label='Begin with the view suspicious']");
    await page.waitForSelector("[aria-label='Begin with the view suspicious'][aria-pressed=true]");
    await page.keyboard.press("Escape");
    await go(`#/investigate?${new URLSearchParams({ subject: found.host, ...span })}`, "#peers");
    await page.waitForFunction(() => document.querySelector("section[aria-labelledby=peers] tbody a")?.getAttribute("href").includes("flagged=on"));
    await page.click("section[aria-labelledby=peers] tbody a");
    await page.waitForSelector(".timeline button[aria-pressed=true]:has-text('Suspicious only')");
    await go(`#/ip/${encodeURIComponent(found.host)}?${new URLSearchParams(span)}`, ".timeline button[aria-pressed=false]:has-text('Suspicious only')");
    await menu();
    await page.waitForSelector(".views .open");
    await remove("suspicious");
    watcher.clean();
  });

  test("the menu of a value of the pages about one thing: include, exclude, only, score", async () => {
    const timeline = (filter) => api(`/api/v1/timeline?${new URLSearchParams({ subject: found.host, ...span, limit: "500", ...(filter ? { filter } : {}) })}`);
    const keys = () => page.$$eval(".timeline .grid-row", (rows) => rows.map((row) => row.dataset.key));
    const all = await timeline();
    const [first] = all.rows;
    const peer = first.src_ip === found.host ? first.dst_ip : first.src_ip;
    const choose = async (selector, label) => {
      await page.click(selector, { button: "right" });
      await page.click(`.value-menu [role=menuitem]:has-text('${label}')`);
    };
    await go(`#/ip/${encodeURIComponent(found.host)}?${new URLSearchParams(span)}`, ".timeline .grid-row");
    const cell = `.timeline .grid-row .value[data-value='${peer}']`;
    await choose(cell, "Include");
    await page.waitForFunction(() => location.hash.includes("filter="));
    assert.equal(params().filter, `ip == ${peer}`);
    const only = await timeline(`ip == ${peer}`);
    assert.ok(only.rows.length > 0 && only.rows.length < all.rows.length);
    await page.waitForFunction((text) => document.querySelector(".timeline [role=status]")?.textContent.startsWith(text), `${only.rows.length}${only.next_cursor ? "+" : ""} `);
    assert.ok((await keys()).every((key) => only.rows.some((row) => `${row.source} ${row.record_id}` === key)));
    await choose(cell, "Exclude");
    await page.waitForSelector("text=No record passes the query in this time.");
    // Written by hand; a field that only some records have leaves the others out, and a fault is told.
    await page.fill(".timeline input[name=query]", `dst_port == ${first.dst_port} and not ip == ${peer}`);
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=The query asks for fields that records of");
    await page.fill(".timeline input[name=query]", "ip ==");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".timeline [role=alert]:has-text('at character')");

    // By keyboard, on a row of a plain list: the menu of its values.
    await go(`#/investigate?${new URLSearchParams({ subject: found.host, ...span })}`, "#peers");
    await page.focus("section[aria-labelledby=peers] tbody tr a");
    const ip = await page.textContent("section[aria-labelledby=peers] tbody tr a");
    await page.keyboard.press("m");
    await page.waitForSelector(".value-menu [role=menuitem]");
    await page.click(".value-menu [role=menuitem]:has-text('Include')");
    await page.waitForSelector(".timeline .grid-row");
    assert.deepEqual([new URL(page.url()).hash.split("?")[0], params().filter], [`#/ip/${encodeURIComponent(found.host)}`, `ip == ${ip}`]);

    await go(`#/service/tcp/443?${new URLSearchParams(span)}`, "#risk");
    const cell443 = "section[aria-labelledby=risk] tbody .value >> nth=0";
    const source = await page.getAttribute(cell443, "data-value");
    await choose(cell443, "Include");
    await page.waitForSelector(".main-table");
    assert.equal(params().filter, `proto == 6 and dst_port == 443 and src_ip == ${source}`);

    await go(`#/ip/${encodeURIComponent(found.host)}?${new URLSearchParams(span)}`, ".timeline .grid-row");
    await choose(cell, "Score …");
    await page.waitForSelector("dialog .facts td");
    assert.equal(await page.$("dialog label:has-text('rows of the query')"), null, "there is no list here");
    await page.click("dialog button:text-is('Save as high')");
    await page.waitForSelector("dialog", { state: "detached" });
    const { verdicts } = await api("/api/v1/verdicts?source=flow");
    assert.deepEqual([verdicts.length, verdicts[0].matcher.address, verdicts[0].severity], [1, peer, 1]);
    await page.click(".toast button:text-is('Undo')");
    await page.waitForSelector(".toast:has-text('Taken back')");
    assert.deepEqual((await api("/api/v1/verdicts")).verdicts, []);
    watcher.clean();
  });
});
