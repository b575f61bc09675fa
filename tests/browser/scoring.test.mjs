// Verdicts: by mouse and keyboard, many at once, taken back; rules; what they do to the list.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { api, BASE, drawn, launch, open, scoredDays, serious, signIn, skip, watch } from "./support.mjs";


describe("scoring", { skip }, () => {
  let browser, context, page, watcher, date;
  before(async () => {
    browser = await launch();
    ({ context } = await signIn(browser));
    [date] = await scoredDays("flow");
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });
  // A page of its own: messages of the test before, with their Undo, would still be there.
  beforeEach(async () => {
    await page?.close();
    page = await context.newPage();
    watcher = watch(page);
    await open(page, `#/suspicious/flow?date=${date}&groups=off`);
  });

  const listed = (more = "") => api(`/api/v1/suspicious/flow?date=${date}&groups=off${more}`);
  const inForce = async () => (await api("/api/v1/verdicts?source=flow")).verdicts;
  const gone = (id) => page.waitForFunction((id) => !document.querySelector(`.main-table .grid-row[data-key="${id}"]`), id);
  const back = (id) => page.waitForSelector(`.main-table .grid-row[data-key="${id}"]`);

  test("1, 2, 3 rate the row; it leaves the list, is found under Scored, and u brings it back", async () => {
    const before = await listed();
    const [first] = before.rows;
    for (const severity of [1, 2, 3]) {
      await page.focus(".main-table .grid");
      await page.keyboard.press("Home");
      await page.keyboard.press(String(severity));
      await gone(first.record_id);
      const [verdict] = await inForce();
      assert.deepEqual([verdict.record_id, verdict.severity, verdict.scope], [first.record_id, severity, "record"]);
      assert.equal((await listed()).matching, before.matching - 1);
      assert.deepEqual((await listed("&show=rated")).rows.map((row) => [row.record_id, row.said.severity]), [[first.record_id, severity]]);
      await page.selectOption(".toolbar select", "rated");
      await back(first.record_id);
      await page.selectOption(".toolbar select", "open");
      await gone(first.record_id);
      await page.focus(".main-table .grid");
      await page.keyboard.press("u");
      await back(first.record_id);
      assert.equal((await listed()).matching, before.matching);
    }
    assert.deepEqual(await inForce(), []);
    watcher.clean();
  });

  test("by mouse, with Undo in the message", async () => {
    const [first] = (await listed()).rows;
    await page.click(".main-table .grid-row [data-column=time]");
    await page.waitForSelector(".details");
    await page.click(".details .rate button:has-text('2 medium')");
    await page.waitForSelector(".toast.good:has-text('Rated medium')");
    await gone(first.record_id);
    await page.click(".toast button:text-is('Undo')");
    await back(first.record_id);
    assert.deepEqual(await inForce(), []);
    watcher.clean();
  });

  test("marked rows are rated at once", async () => {
    const before = await listed();
    const ids = before.rows.slice(0, 3).map((row) => row.record_id);
    await page.focus(".main-table .grid");
    await page.keyboard.press("Home");
    for (const key of ["x", "j", "x", "j", "x"]) await page.keyboard.press(key);
    await page.waitForSelector(".toolbar button:has-text('Score 3 marked')");
    await page.keyboard.press("3");
    for (const id of ids) await gone(id);
    assert.deepEqual((await inForce()).map((verdict) => verdict.record_id).sort(), [...ids].sort());
    await page.keyboard.press("u");
    for (const id of ids) await back(id);
    assert.equal((await listed()).matching, before.matching);
    watcher.clean();
  });

  test("a scope says what it touches before it is saved, and touches that", async () => {
    const before = await listed();
    const row = before.rows[0];
    await page.focus(".main-table .grid");
    await page.keyboard.press("Home");
    await page.keyboard.press("s");
    await page.waitForSelector("dialog[open]");
    await page.check(`dialog label:has-text("everything of ${row.src_ip}") input`);
    const of = before.rows.filter((other) => other.src_ip === row.src_ip).length;
    await page.waitForFunction(() => document.querySelector("dialog .facts td")?.textContent !== undefined);
    await page.waitForFunction((least) => Number(document.querySelector("dialog .facts td")?.textContent.replaceAll(",", "")) >= least, of);
    const said = Number((await page.textContent("dialog .facts td")).replaceAll(",", ""));
    assert.deepEqual(await serious(page), []);
    await page.fill("dialog label:has-text('Why') input", "a <b>printer</b>");
    await page.click("dialog button:text-is('Save as high')");
    await page.waitForSelector("dialog", { state: "detached" });
    const after = await listed();
    assert.equal(before.matching - after.matching, said, "what was said is what it did");
    const [verdict] = await inForce();
    assert.deepEqual([verdict.scope, verdict.note], ["host", "a <b>printer</b>"]);
    await page.goto(`${BASE}/#/noise`);
    await page.waitForSelector("td:has-text('a <b>printer</b>')");
    assert.deepEqual(await serious(page), []);
    await page.click("button:text-is('Take back')");
    await page.waitForSelector("text=Nobody has rated anything.");
    watcher.clean();
  });

  test("quick scoring takes an address, and refuses what is none", async () => {
    const before = await listed();
    const ip = before.rows[0].dst_ip;
    await page.keyboard.press("q");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.type("printer");
    await page.waitForSelector("dialog .bad:has-text('Flows are scored by address')");
    assert.ok(await page.isDisabled("dialog button:text-is('Save as high')"));
    await page.fill("dialog input:not([type=radio])", ip);
    await page.waitForSelector("dialog .facts");
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog", { state: "detached" });
    const after = await listed();
    assert.ok(after.rows.every((row) => row.src_ip !== ip && row.dst_ip !== ip) && after.matching < before.matching);
    await page.keyboard.press("u");
    await back(before.rows[0].record_id);
    watcher.clean();
  });

  test("all rows of the query are scored as one, found on every page of Noise, and taken back as one", async () => {
    const all = await listed();
    const filter = `dst_port == ${all.rows[0].dst_port}`;
    await open(page, `#/suspicious/flow?${new URLSearchParams({ date, groups: "off", filter })}`);
    const before = await listed(`&filter=${encodeURIComponent(filter)}`);
    assert.ok(before.matching > 0 && before.matching < all.matching);
    await page.focus(".main-table .grid");
    await page.keyboard.press("s");
    await page.check(`dialog label:has-text("rows of the query: ${filter}") input`);
    const facts = () => page.$$eval("dialog .facts td", (cells) => cells.map((cell) => Number(cell.textContent.replaceAll(",", ""))));
    await page.waitForSelector("dialog .facts td");
    assert.deepEqual((await facts()).slice(0, 2), [before.matching, before.groups]);
    await page.waitForSelector("dialog .sample li");
    assert.deepEqual(await serious(page), []);
    await page.check("dialog label:has-text('3 low') input");
    await page.fill("dialog label:has-text('Why') input", "our <b>backup</b>");
    await page.click("dialog button:text-is('Save as low')");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.waitForSelector("text=Nothing passes the filter");
    const given = await inForce();
    const { batches } = await api("/api/v1/verdicts?source=flow");
    assert.deepEqual([batches.length, batches[0].given], [1, before.matching]);
    assert.ok(given.every((one) => one.scope === "record" && one.severity === 3 && one.note === "our <b>backup</b>" && one.batch === batches[0].id));
    assert.equal((await listed()).matching, all.matching - before.matching);
    // Noise says of what query it is, and takes it back as one.
    await page.goto(`${BASE}/#/noise`);
    await page.waitForSelector(`td:has-text("one of ${before.matching.toLocaleString("en-US")}: ${date}: ${filter}")`);
    assert.deepEqual(await serious(page), []);
    await page.click("button:has-text('… all ')");
    await page.waitForSelector("text=Nobody has rated anything.");
    assert.equal((await listed()).matching, all.matching);
    // The whole list, and back by one key: every verdict is on a page.
    await open(page, `#/suspicious/flow?date=${date}&groups=off`);
    await page.keyboard.press("q");
    await page.check("dialog label:has-text('rows of this list') input");
    await page.waitForSelector("dialog .facts td");
    await page.click("dialog button:text-is('Save as high')");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.waitForFunction(() => document.querySelectorAll(".main-table .grid-row").length === 0);
    const other = await context.newPage();
    await other.goto(`${BASE}/#/noise`);
    let seen = 0;
    const ids = new Set();
    for (;;) {
      await other.waitForSelector(".noise table button:text-is('Take back')");
      for (const label of await other.$$eval("[aria-label^='Take back verdict']", (all) => all.map((one) => one.getAttribute("aria-label")))) ids.add(label);
      seen += 1;
      const older = await other.$("text=Older ones");
      if (!older) break;
      const first = await other.getAttribute("[aria-label^='Take back verdict']", "aria-label");
      await older.click();
      await other.waitForFunction((first) => document.querySelector("[aria-label^='Take back verdict']")?.getAttribute("aria-label") !== first, first);
    }
    assert.deepEqual([ids.size, seen], [all.matching, Math.ceil(all.matching / 250)]);
    await other.close();
    await page.keyboard.press("u");
    await back(all.rows[0].record_id);
    assert.deepEqual([await inForce(), (await listed()).matching], [[], all.matching]);
    watcher.clean();
  });

  test("a rule shows what it takes, acts, and is ended", async () => {
    const before = await listed();
    const ip = before.rows[0].src_ip;
    await page.goto(`${BASE}/#/noise`);
    await page.click("button:has-text('New rule')");
    await page.selectOption("dialog select >> nth=0", "suppress");
    await page.fill("dialog label:has-text('Address') input", ip);
    await page.fill("dialog label:has-text('Name') input", "=cmd()|' /C calc'!A0");
    await page.waitForSelector("dialog .facts td");
    await page.click("dialog button:text-is('Make the rule')");
    await page.waitForSelector(`th:has-text("=cmd()|' /C calc'!A0")`);
    const after = await listed();
    assert.ok(after.matching < before.matching && after.rows.every((row) => row.src_ip !== ip && row.dst_ip !== ip));
    await page.click("button:text-is('End')");
    await page.waitForSelector("text=No rule is in force");
    assert.equal((await listed()).matching, before.matching);
    watcher.clean();
  });

  test("the whole triage by keyboard", async () => {
    const before = await listed();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".details");
    await page.keyboard.press("3");
    await gone(before.rows[0].record_id);
    // The next one is open already.
    await page.waitForURL((url) => url.hash.includes(before.rows[1].record_id));
    await page.keyboard.press("s");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog", { state: "detached" });
    await gone(before.rows[1].record_id);
    const verdicts = await inForce();
    assert.deepEqual(verdicts.map((verdict) => [verdict.record_id, verdict.severity]), [[before.rows[1].record_id, 2], [before.rows[0].record_id, 3]]);
    await page.keyboard.press("u");
    await back(before.rows[1].record_id);
    await page.keyboard.press("u");
    await back(before.rows[0].record_id);
    assert.deepEqual((await drawn(page)).slice(0, 2), before.rows.slice(0, 2).map((row) => row.record_id));
    watcher.clean();
  });
});
