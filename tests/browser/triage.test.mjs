// The query bar, the columns, the saved views and the pictures beside the table, in a real browser over a real lake.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, drawn, launch, open, post, scoredDays, signIn, skip, watch } from "./support.mjs";

const GRAPHS = { flow: "Network view", dns: "Clients and names" };

describe("triage", { skip }, () => {
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

  const listed = (source, date, query) => api(`/api/v1/suspicious/${source}?date=${date}&filter=${encodeURIComponent(query)}`);
  const counted = (list) => page.waitForFunction((text) => document.querySelector(".counts").textContent.includes(text), `of ${list.matching.toLocaleString("en-US")} records`);

  test("the query bar suggests fields, comparisons and values, and asks on Ctrl-Enter", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    const row = (await api(`/api/v1/suspicious/flow?date=${date}`)).rows[0];
    await page.keyboard.press("/");
    await page.keyboard.type("src_i");
    await page.waitForSelector(".suggestions li:has-text('src_ip')");
    await page.keyboard.press("Tab");
    await page.waitForSelector(".suggestions li:has-text('!=')");
    assert.equal(await page.inputValue("#filter"), "src_ip ");
    await page.keyboard.type(`== ${row.src_ip.slice(0, -1)}`);
    await page.waitForSelector(`.suggestions li:has-text("${row.src_ip}")`);
    await page.keyboard.press("Escape");
    await page.fill("#filter", `src_ip == ${row.src_ip}`);
    await page.keyboard.press("Control+Enter");
    const list = await listed("flow", date, `src_ip == ${row.src_ip}`);
    assert.ok(list.matching > 0 && list.rows.every((other) => other.src_ip === row.src_ip));
    await counted(list);
    const ids = await drawn(page);
    assert.deepEqual(ids, list.rows.slice(0, ids.length).map((other) => other.record_id));
    watcher.clean();
  });

  test("a fault is marked where it is, and is not asked", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    await page.fill("#filter", "dst_port == 22 and scr_ip == 1.2.3.4");
    await page.waitForFunction(() => document.querySelector(".query-mirror .fault")?.textContent === "scr_ip");
    assert.match(await page.textContent(".query-fault"), /did you mean src_ip\?, at character 20/);
    await page.keyboard.press("Enter");
    assert.ok(!page.url().includes("filter="));
    assert.equal(await page.evaluate(() => { const { selectionStart, selectionEnd, value } = document.querySelector("#filter"); return value.slice(selectionStart, selectionEnd); }), "scr_ip");
    await page.fill("#filter", "");
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  test("the SQL of a query gives the same records", async () => {
    const [date] = await scoredDays("flow");
    const query = "dst_port in (1..1024) and not proto == udp";
    await open(page, `#/suspicious/flow?date=${date}&filter=${encodeURIComponent(query)}`);
    await page.click("button:text-is('SQL')");
    const text = await page.textContent(".query-sql pre");
    const { sql } = await api(`/api/v1/query/flow?date=${date}&q=${encodeURIComponent(query)}`);
    assert.equal(text.trim(), sql);
    // The console takes it as it stands.
    const list = await listed("flow", date, query);
    const { columns } = await post("/api/v1/sql", { sql, max_rows: 10_000 });
    const ids = columns.find((column) => column.name === "record_id").values;
    assert.equal(ids.length, list.matching);
    assert.equal(ids[0], list.rows[0].record_id);
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  test("the value menu includes, excludes, and copies; by right click and by keyboard", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    const row = (await api(`/api/v1/suspicious/flow?date=${date}`)).rows[0];
    await page.click(".main-table .grid-row >> nth=0 >> [data-field=src_ip]", { button: "right" });
    await page.waitForSelector(".value-menu");
    await page.click(".value-menu >> text=Include");
    await page.waitForURL((url) => decodeURIComponent(url.hash).replaceAll("+", " ").includes(`filter=src_ip == ${row.src_ip}`));
    await counted(await listed("flow", date, `src_ip == ${row.src_ip}`));
    await page.focus(".main-table .grid");
    await page.keyboard.press("j");
    await page.keyboard.press("m");
    await page.waitForSelector(".value-menu");
    await page.click(".value-menu >> text=dst_port");
    await page.waitForSelector(".value-menu >> text=Exclude");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.hash.includes("dst_port"));
    const query = new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("filter");
    assert.match(query, /^src_ip == \S+ and dst_port != \d+$/);
    await page.click("button[aria-label='Clear the query']");
    await page.waitForURL((url) => !url.hash.includes("filter="));
    watcher.clean();
  });

  test("columns are chosen, stay in the link, and are sorted by", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&groups=off`);
    await page.click("button:text-is('Columns')");
    await page.check(".chooser label:has-text('Confidence') input");
    await page.waitForSelector("[data-column=confidence]");
    await page.keyboard.press("Escape");
    await page.click(".grid-head button:has-text('Confidence')");
    await page.click(".grid-head button:has-text('Confidence')");
    await page.waitForURL((url) => url.hash.includes("sort=-confidence"));
    const list = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&sort=-confidence`);
    const confidences = list.rows.map((row) => row.standing.confidence);
    assert.deepEqual(confidences, [...confidences].sort((a, b) => b - a));
    await page.waitForFunction((id) => document.querySelector(".main-table .grid-row")?.dataset.key === id, list.rows[0].record_id);
    await page.reload();
    await page.waitForSelector("[data-column=confidence]");
    assert.deepEqual((await drawn(page)).slice(0, 5), list.rows.slice(0, 5).map((row) => row.record_id));
    watcher.clean();
  });

  test("a view is saved, opened on another day's page, and deleted", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&groups=off&sort=-src_bytes&filter=${encodeURIComponent("proto == tcp")}`);
    await page.click("button:text-is('Views')");
    await page.fill(".views input", 'Big <b>"senders"</b>');
    await page.click(".views button:text-is('Save')");
    await page.waitForSelector(".views .open:has-text('Big <b>')");
    await page.keyboard.press("Escape");
    await open(page, `#/suspicious/flow?date=${date}`);
    await page.click("button:text-is('Views')");
    await page.click(".views .open:has-text('Big <b>')");
    await page.waitForURL((url) => url.hash.includes("sort=-src_bytes") && url.hash.includes(`date=${date}`) && url.hash.includes("groups=off") && url.hash.includes("filter=proto"));
    await page.click("button:text-is('Views')");
    await page.click("button[aria-label^='Delete the view Big']");
    await page.waitForSelector(".views .open:has-text('Big <b>')", { state: "detached" });
    assert.equal((await api("/api/v1/views?page=suspicious/flow")).views.length, 0);
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  for (const [source, title] of Object.entries(GRAPHS)) {
    test(`${source}: the graph is drawn by a worker and lives with the table`, async () => {
      const [date] = await scoredDays(source);
      await open(page, `#/suspicious/${source}?date=${date}&graph=on`);
      await page.waitForSelector('.stage[data-settled="true"]');
      assert.equal(await page.textContent(".picture h2"), title);
      const inked = await page.$eval(".stage canvas", (canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 3; at < data.length; at += 4) if (data[at]) count += 1;
        return count;
      });
      assert.ok(inked > 500, `${inked} pixels are drawn`);
      // The table twin has every link of the loaded rows.
      await page.click(".picture button:text-is('Table')");
      const links = await page.$$eval(".picture .twin tbody tr", (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
      assert.ok(links.length > 0);
      const list = await api(`/api/v1/suspicious/${source}?date=${date}`);
      const first = list.rows[0];
      const ends = source === "flow" ? [first.src_ip, first.dst_ip] : [first.client_ip];
      assert.ok(ends.every((end) => links[0].includes(end)), `${links[0]} is the link of rank 1: ${ends}`);
      await page.click(".picture button:text-is('Table')");
      // By keyboard: the first node is of the best rank; its rows light up what they are; f filters by it.
      await page.focus(".stage");
      await page.keyboard.press("ArrowRight");
      await page.waitForSelector(".node-card .strong");
      const name = await page.textContent(".node-card .strong");
      assert.ok([...ends, first.qname].some((end) => end === name || name.startsWith("*.")), `${name} is of rank 1`);
      await page.keyboard.press("f");
      await page.waitForURL((url) => url.hash.includes("filter="));
      const query = new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("filter");
      assert.ok(query.includes(name), query);
      const some = await listed(source, date, query);
      assert.ok(some.matching > 0);
      await counted(some);
      watcher.clean();
    });
  }

  test("hover in the graph lights up the table; a click draws the chord diagram; hubs can be hidden", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&graph=on`);
    await page.waitForSelector('.stage[data-settled="true"]');
    // Find a node as a person does: by moving over the picture until the card says one.
    const box = await page.locator(".stage").boundingBox();
    let found;
    search: for (let y = 20; y < box.height; y += 9) {
      for (let x = 20; x < box.width; x += 9) {
        await page.mouse.move(box.x + x, box.y + y);
        if (await page.evaluate(() => document.querySelector(".node-card .strong") !== null && document.querySelectorAll(".grid-row.lit").length > 0)) {
          found = { x: box.x + x, y: box.y + y, name: await page.textContent(".node-card .strong") };
          break search;
        }
      }
    }
    assert.ok(found, "a node of a row that is seen is found under the pointer");
    const lit = await page.$$eval(".grid-row.lit", (rows) => rows.map((row) => row.textContent));
    assert.ok(lit.every((text) => text.includes(found.name)), found.name);
    await page.mouse.click(found.x, found.y);
    await page.waitForSelector(".chord .ribbon");
    assert.ok(page.url().includes("tab=around"));
    const around = await api(`/api/v1/around/flow?ip=${found.name}&date=${date}&limit=20`);
    assert.equal(await page.$$eval(".chord .arc", (arcs) => arcs.length), around.peers.length + 1);
    await page.click(".around button:text-is('Table')");
    const rows = await page.$$eval(".around .twin tbody tr", (rows) => rows.map((row) => row.firstElementChild.textContent));
    assert.deepEqual(rows, around.peers.map((peer) => peer.peer));
    const before = page.url();
    // That it is a table stands in the address, too.
    await page.reload();
    await page.waitForSelector(".around .twin tbody tr");
    assert.equal(page.url(), before);
    watcher.clean();
  });

  test("the names of a client are drawn with their answers", async () => {
    const [date] = await scoredDays("dns");
    const row = (await api(`/api/v1/suspicious/dns?date=${date}`)).rows[0];
    await open(page, `#/suspicious/dns?date=${date}&selected=${row.record_id}&tab=around`);
    await page.waitForSelector(".around .branch");
    const around = await api(`/api/v1/around/dns?client=${row.client_ip}&date=${date}&limit=100`);
    const names = new Set(around.names.map((name) => name.qname));
    assert.equal(await page.$$eval(".around .branch.name", (found) => found.length), names.size);
    assert.ok(names.has(row.qname) || around.more);
    watcher.clean();
  });

  test("the tree of requests opens, closes, and shows the way to the selected record", async (t) => {
    const [date] = await scoredDays("proxy");
    if (!date) return t.skip("the lake has no scored proxy records");
    await open(page, `#/suspicious/proxy?date=${date}&graph=on`);
    await page.waitForSelector("[role=treeitem]");
    const items = () => page.$$eval("[role=treeitem]", (found) => found.length);
    const closed = await items();
    await page.click(".main-table .grid-row [data-column=time]");
    await page.waitForSelector(".branch.way");
    const row = (await api(`/api/v1/suspicious/proxy?date=${date}`)).rows[0];
    const way = await page.$$eval(".branch.way", (found) => found.map((one) => one.getAttribute("aria-label")));
    assert.equal(way.length, 5, `${way}`);
    assert.ok(way[1].startsWith(`Method ${row.method}`) && way[2].includes(row.host) && way[4].startsWith(`Client ${row.client_ip}`), `${way}`);
    assert.ok((await items()) > closed);
    await page.click(".picture button:text-is('Close')");
    await page.waitForFunction((count) => document.querySelectorAll("[role=treeitem]").length === count, closed);
    await page.focus("svg.tree");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction((count) => document.querySelectorAll("[role=treeitem]").length < count, closed);
    await page.keyboard.press("Enter");
    await page.waitForFunction((count) => document.querySelectorAll("[role=treeitem]").length === count, closed);
    watcher.clean();
  });

  test("themes, contrast and zone are kept; times follow the zone", async () => {
    const own = await signIn(browser, { timezoneId: "Asia/Kolkata" });
    const watched = watch(own.page);
    const [date] = await scoredDays("flow");
    await open(own.page, `#/suspicious/flow?date=${date}`);
    const time = () => own.page.textContent(".main-table .grid-row time");
    const utc = await time();
    await own.page.click(".top > .zone");
    await own.page.waitForSelector(".grid-head :text('UTC+05:30')");
    const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
    assert.equal((minutes(await time()) - minutes(utc) + 1440) % 1440, 330);
    await own.page.click("button[aria-label=Display]");
    await own.page.check("label:has-text('Dark') input");
    await own.page.check("label:has-text('High') input");
    await own.page.reload();
    await own.page.waitForSelector(".grid-head :text('UTC+05:30')");
    assert.deepEqual(await own.page.evaluate(() => ({ ...document.documentElement.dataset })), { theme: "dark", contrast: "more" });
    watched.clean();
    await own.context.close();
  });

  test("a link of a newer version and a page that is not there say so", async () => {
    await page.goto(`${BASE}/#/suspicious/flow?v=99`);
    await page.waitForSelector("text=This link was made by a newer version");
    await page.goto(`${BASE}/#/nosuch`);
    await page.waitForSelector("text=There is no such page");
    watcher.clean();
  });
});
