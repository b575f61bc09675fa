// The suspicious page on a real lake: what is shown is what the API says, and what an analyst does works.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { api, BASE, drawn, goKeys, launch, open, scoredDays, signIn, skip, watch } from "./support.mjs";

const SOURCES = ["flow", "dns", "proxy"];
/** Column of the table → field of the API, for a text that is shown as it is. */
const SHOWN = { flow: { src_ip: "src_ip", dst_ip: "dst_ip" }, dns: { client_ip: "client_ip", qname: "qname" }, proxy: { client_ip: "client_ip", host: "host" } };

describe("suspicious", { skip }, () => {
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

  for (const source of SOURCES) {
    test(`${source}: the rows are the API's, in its order`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}`);
      const list = await api(`/api/v1/suspicious/${source}?date=${date}`);
      const ids = await drawn(page);
      assert.ok(ids.length >= Math.min(20, list.rows.length), `${ids.length} rows are drawn`);
      assert.deepEqual(ids, list.rows.slice(0, ids.length).map((row) => row.record_id));
      for (const [column, field] of Object.entries(SHOWN[source])) {
        const texts = await page.$$eval(`.main-table .grid-row [data-column=${column}]`, (cells) => cells.map((cell) => cell.textContent));
        const first = list.rows.slice(0, texts.length).map((row) => row[field]);
        // Names with hidden characters are shown escaped; that has a test of its own.
        const plain = (values) => values.filter((value) => /^[\x21-\x7e]*$/.test(value) && !value.includes("\\")).sort();
        assert.deepEqual(plain(texts), plain(first), column);
      }
      const ranks = list.rows.map((row) => row.standing.rank);
      assert.deepEqual(ranks, [...ranks].sort((a, b) => a - b));
      const counts = await page.textContent(".counts");
      assert.ok(counts.includes(`${list.groups.toLocaleString("en-US")} groups of ${list.matching.toLocaleString("en-US")} records`), counts);
      assert.ok(counts.includes(`out of ${list.records.toLocaleString("en-US")} that day`), counts);
      watcher.clean();
    });

    test(`${source}: the list is saved as it is shown`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}`);
      const list = await api(`/api/v1/suspicious/${source}?date=${date}`);
      await page.click(".toolbar >> text=Export");
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(".exports >> text=JSON Lines")]);
      const rows = readFileSync(await download.path(), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
      assert.equal(rows.length, list.groups);
      assert.deepEqual(rows.slice(0, 50).map((row) => row.record_id), list.rows.slice(0, 50).map((row) => row.record_id));
      watcher.clean();
    });

    test(`${source}: a row opens its explanation and the raw records around it`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}`);
      const row = (await api(`/api/v1/suspicious/${source}?date=${date}`)).rows[0];
      await page.click(".main-table .grid-row [data-column=time]");
      await page.waitForSelector(".details .raw .grid-row");
      assert.ok(page.url().includes(`selected=${row.record_id}`));
      const text = await page.textContent(".explanation");
      assert.ok(text.includes(row.why.host), text);
      assert.ok(text.includes(row.why.word), text);
      assert.ok(row.why.features.length > 0, "the word is taken apart");
      for (const feature of row.why.features) assert.ok(text.includes(feature.name), feature.name);
      const query = {
        flow: () => ({ src: row.src_ip, dst: row.dst_ip }),
        dns: () => ({ name: row.qname }),
        proxy: () => ({ uri: row.full_uri, client: row.client_ip }),
      }[source]();
      const raw = await api(`/api/v1/details/${source}?${new URLSearchParams({ ...query, time: row.first_seen })}`);
      assert.ok(raw.rows.some((other) => other.record_id === row.record_id), "the record is among the raw ones");
      const keys = await page.$$eval(".raw .grid-row", (rows) => rows.map((row) => row.dataset.key));
      assert.deepEqual(keys.slice(0, 10).sort(), raw.rows.slice(0, keys.length).map((other) => other.record_id).slice(0, 10).sort());
      await page.click("text=All columns");
      await page.waitForSelector("dl.columns");
      assert.ok((await page.textContent("dl.columns")).includes(row.record_id));
      watcher.clean();
    });

    test(`${source}: the filter shows what matches, and can be cleared`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}`);
      const all = await api(`/api/v1/suspicious/${source}?date=${date}`);
      const address = all.rows[0].src_ip ?? all.rows[0].client_ip;
      await page.keyboard.press("/");
      await page.keyboard.type(address);
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.hash.includes("filter="));
      const some = await api(`/api/v1/suspicious/${source}?date=${date}&filter=${encodeURIComponent(address)}`);
      assert.ok(some.matching > 0 && some.matching <= all.matching);
      for (const row of some.rows) {
        assert.ok([row.src_ip, row.dst_ip, row.client_ip, row.server_ip].includes(address));
      }
      await page.waitForFunction((text) => document.querySelector(".counts").textContent.includes(text), `of ${some.matching.toLocaleString("en-US")} records`);
      assert.deepEqual(await drawn(page), some.rows.slice(0, (await drawn(page)).length).map((row) => row.record_id));
      await page.fill("#filter", "no such thing anywhere");
      await page.keyboard.press("Control+Enter");
      await page.waitForSelector("text=Nothing passes the filter");
      await page.click("text=Clear the filter");
      await page.waitForSelector(".main-table .grid-row");
      assert.ok(!page.url().includes("filter="));
      watcher.clean();
    });
  }

  test("the keyboard is enough", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    const list = await api(`/api/v1/suspicious/flow?date=${date}`);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    // What is named is drawn first, and that takes a frame.
    const active = (key) => page.waitForFunction((key) => document.getElementById(document.querySelector(".main-table .grid").getAttribute("aria-activedescendant"))?.dataset.key === key, key);
    await active(list.rows[1].record_id);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".details");
    assert.ok(page.url().includes(`selected=${list.rows[1].record_id}`));
    await page.keyboard.press("j");
    await page.waitForURL((url) => url.hash.includes(list.rows[2].record_id));
    await page.keyboard.press("Escape");
    await page.waitForSelector(".details", { state: "detached" });
    assert.ok(!page.url().includes("selected="));
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "grid");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    await active(list.rows[0].record_id);
    await goKeys(page, "d");
    await page.waitForURL((url) => url.hash.startsWith("#/suspicious/dns"));
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  test("a reload gives the same view back", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&groups=off&sort=-src_bytes`);
    await page.click(".main-table .grid-row >> nth=2");
    await page.waitForSelector(".details .raw .grid-row");
    const before = { url: page.url(), ids: await drawn(page), text: await page.textContent(".explanation") };
    await page.reload();
    await page.waitForSelector(".details .raw .grid-row");
    assert.deepEqual({ url: page.url(), ids: await drawn(page), text: await page.textContent(".explanation") }, before);
    const list = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&sort=-src_bytes`);
    const bytes = list.rows.map((row) => row.src_bytes);
    assert.deepEqual(bytes, [...bytes].sort((a, b) => b - a));
    assert.deepEqual(before.ids, list.rows.slice(0, before.ids.length).map((row) => row.record_id));
    watcher.clean();
  });

  test("scrolling loads what follows, once each", async (t) => {
    const { days } = await api("/api/v1/days");
    const date = days.find((day) => day.flow.scored > 250)?.date;
    if (!date) return t.skip("no day has more than 250 scored flow records");
    const list = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&limit=1000`);
    await open(page, `#/suspicious/flow?date=${date}&groups=off`);
    const most = Math.min(list.matching, 600);
    await page.waitForFunction(
      (most) => {
        const grid = document.querySelector(".main-table .grid");
        grid.scrollTop = grid.scrollHeight;
        return [...document.querySelectorAll(".main-table .grid-row")].some((row) => Number(row.getAttribute("aria-rowindex")) >= most);
      },
      most,
      { polling: 50 },
    );
    const rows = await page.$$eval(".main-table .grid-row", (rows) => rows.map((row) => [Number(row.getAttribute("aria-rowindex")) - 2, row.dataset.key]));
    for (const [index, key] of rows) {
      if (index < list.rows.length) assert.equal(key, list.rows[index].record_id, `row ${index}`);
    }
    assert.ok((await page.$$(".main-table .grid-row")).length < 120, "only what is seen is drawn");
    watcher.clean();
  });

  test("a group opens to its records and closes again", async (t) => {
    const [date] = await scoredDays("dns");
    const list = await api(`/api/v1/suspicious/dns?date=${date}&limit=250`);
    const at = list.rows.findIndex((row) => row.standing.group_size > 1 && row.standing.group_size < 1000);
    if (at < 0) return t.skip("no group among the first 250");
    const { group_id } = list.rows[at].standing;
    const members = await api(`/api/v1/suspicious/dns?date=${date}&group=${group_id}&limit=1000`);
    assert.ok(members.rows.every((row) => row.standing.group_id === group_id));
    await open(page, `#/suspicious/dns?date=${date}`);
    await page.$eval(".main-table .grid", (grid, at) => (grid.scrollTop = (at - 2) * 28), at);
    const button = page.locator(`[data-key="${list.rows[at].record_id}"] .expand`);
    await button.click();
    await page.waitForSelector(".main-table .member");
    const ids = await drawn(page);
    const expected = [...list.rows.slice(0, at + 1), ...members.rows.slice(1), ...list.rows.slice(at + 1)].map((row) => row.record_id);
    const from = expected.indexOf(ids[0]);
    assert.deepEqual(ids, expected.slice(from, from + ids.length));
    await button.click();
    await page.waitForSelector(".main-table .member", { state: "detached" });
    watcher.clean();
  });

  test("another day shows that day", async (t) => {
    const { days } = await api("/api/v1/days");
    const having = days.filter((day) => day.flow.rows > 0);
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}`);
    await page.click(".date-now");
    // The days that have records may come after the calendar.
    await page.waitForSelector(".calendar td button:not(:disabled)");
    const cells = await page.$$eval(".calendar td button:not(:disabled)", (buttons) => buttons.map((button) => button.title.slice(0, 10)));
    assert.deepEqual(cells, having.map((day) => day.date).filter((day) => day.startsWith(date.slice(0, 7))).sort());
    await page.keyboard.press("Escape");
    const other = having.find((day) => day.date < date);
    if (!other) return t.skip("the lake has one day only");
    await page.keyboard.press("[");
    await page.waitForURL((url) => url.hash.includes(`date=${other.date}`));
    await page.waitForSelector(other.flow.scored ? ".main-table .grid-row" : `text=spotter score --source flow --date ${other.date}`);
    watcher.clean();
  });

  test("a day without scores or records says what to do", async () => {
    await page.goto(`${BASE}/#/suspicious/flow?date=1999-01-01`);
    await page.waitForSelector("text=No flow records on 1999-01-01");
    watcher.clean();
  });

  test("Apache Spot's links lead to the same view", async () => {
    const [date] = await scoredDays("dns");
    await page.goto(`${BASE}/files/ui/dns/suspicious.html#date=${date ?? "2016-07-08"}|filter=example`);
    await page.waitForURL((url) => url.hash.includes("filter=example"));
    const url = new URL(page.url());
    assert.equal(`${url.pathname}${url.search}${url.hash}`, `/#/suspicious/dns?v=1&date=${date ?? "2016-07-08"}&filter=example`);
    watcher.clean();
  });
});

describe("what must not happen", { skip }, () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test("hostile text from the wire is shown as text", async () => {
    const { context, page } = await signIn(browser);
    const watcher = watch(page);
    const [date] = await scoredDays("dns");
    const evil = [
      '<img src=x onerror="alert(1)">.example',
      "</div><script>alert(2)</script>",
      "gpj\u202eexe.example",
      "a\u0000b\u001b[31m\r\nc",
      "javascript:alert(3)",
      "{{constructor.constructor('alert(4)')()}}",
      "x".repeat(5000),
    ];
    await page.route("**/api/v1/suspicious/dns?*", async (route) => {
      const answer = await route.fetch();
      const list = await answer.json();
      list.rows = list.rows.slice(0, evil.length).map((row, at) => ({ ...row, qname: evil[at], why: { ...row.why, word: evil[at] } }));
      list.next_cursor = null;
      await route.fulfill({ response: answer, json: list });
    });
    await open(page, `#/suspicious/dns?date=${date}`);
    const texts = await page.$$eval(".main-table [data-column=qname]", (cells) => cells.map((cell) => cell.textContent));
    const shown = evil.slice(0, texts.length).map((text) =>
      text.slice(0, 300).replace("\u202e", "\\u{202e}").replace("\u0000", "\\x00").replace("\u001b", "\\x1b").replace("\r", "\\r").replace("\n", "\\n") + (text.length > 300 ? "…" : ""),
    );
    assert.deepEqual(texts.sort(), shown.sort());
    assert.equal(await page.$("img[onerror], .grid script"), null);
    await page.click(".main-table .grid-row [data-column=time]");
    await page.waitForSelector(".explanation");
    assert.equal(await page.$(".details img, .details script"), null);
    watcher.clean();
    await context.close();
  });

  test("without a session there is nothing to see, and the page says what to do", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const response = await page.goto(BASE);
    assert.equal(response.status(), 401);
    assert.ok((await page.textContent("body")).includes("Open the one-time link"));
    await context.close();
  });

  test("a link works once", async () => {
    const { context, page } = await signIn(browser);
    const cookies = await context.cookies();
    assert.equal(cookies.length, 1);
    assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict");
    assert.equal(await page.evaluate(() => document.cookie), "");
    await context.close();
  });

  test("an answer that does not come is said, and tried again", async () => {
    const { context, page } = await signIn(browser);
    const watcher = watch(page, ["net::ERR_FAILED"]);
    const [date] = await scoredDays("flow");
    await page.route("**/api/v1/suspicious/**", (route) => route.abort());
    await page.goto(`${BASE}/#/suspicious/flow?date=${date}&filter=`);
    await page.reload();
    await page.waitForSelector("text=The server does not answer");
    await page.unroute("**/api/v1/suspicious/**");
    await page.click("text=Try again");
    await page.waitForSelector(".main-table .grid-row");
    watcher.clean();
    await context.close();
  });
});

describe("health", { skip }, () => {
  test("the books are shown with their values", async () => {
    const browser = await launch();
    const { context, page } = await signIn(browser);
    const watcher = watch(page);
    const status = await api("/api/v1/status");
    await page.goto(`${BASE}/#/health`);
    await page.waitForSelector(".tiles");
    const text = await page.textContent(".health");
    for (const table of status.tables) assert.ok(text.includes(table.rows.toLocaleString("en-US")), table.table);
    const book = status.books[0];
    if (book) {
      await page.waitForSelector("#books ~ details:first-of-type .equation", { state: "attached" });
      const lines = await page.$$eval("#books ~ details:first-of-type .equation", (lines) => lines.map((line) => line.textContent));
      assert.equal(lines.length, book.equations.length);
      book.equations.forEach((equation, at) => {
        assert.ok(lines[at].includes(equation.total.value.toLocaleString("en-US")), lines[at]);
        assert.ok(lines[at].includes(equation.difference === "0" ? "✓" : `differs by ${equation.difference}`), lines[at]);
      });
    }
    for (const run of status.runs.slice(0, 3)) assert.ok(text.includes(run.run_id), run.run_id);
    watcher.clean();
    await context.close();
    await browser.close();
  });
});
