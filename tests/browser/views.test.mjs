// Saved views with their time, what a page begins with, and the zone that an administrator sets for everybody.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DAY, LOGS, noCommand, serve } from "./own.mjs";
import { goKeys, inScheme, launch, serious, skip, watchAt } from "./support.mjs";

const BEFORE = "2026-03-10";
const [flow] = LOGS.conn;
/** Records of two days; the later one is scored. */
const logs = { ...LOGS, conn: [flow, { ...flow, ts: Date.parse(`${BEFORE}T12:00:00Z`) / 1000 }] };

describe("views and zones", { skip: skip || noCommand }, () => {
  let browser, server, context, page, watcher;
  before(async () => {
    server = await serve(logs, true);
    browser = await launch();
    context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "America/New_York" });
    page = await context.newPage();
    watcher = watchAt(page, server.base);
    await page.goto(server.link);
    await page.waitForSelector("nav");
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const api = async (path) => (await fetch(server.base + path, { headers: { authorization: `Bearer ${server.token}` } })).json();
  const go = async (hash) => {
    await page.goto(`${server.base}/${hash}`);
    await page.waitForSelector(".toolbar");
  };
  const params = () => Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.split("?")[1]));
  const openMenu = async () => {
    await page.click("button:text-is('Views')");
    await page.waitForSelector(".views form");
    // The form is there before the list is.
    await page.waitForFunction(() => !document.querySelector(".views").textContent.includes("Loading"));
  };
  const saveAs = async (name, time) => {
    await openMenu();
    await page.fill(".views form input:not([type])", name);
    await page.selectOption(".views select", time);
    await page.click(".views form button:text-is('Save')");
    await page.waitForSelector(`.views .open:has-text('${name}')`);
    await page.keyboard.press("Escape");
  };
  const openView = async (name) => {
    await openMenu();
    await page.click(`.views .open:has-text('${name}')`);
  };

  test("the time of a view is not kept, is kept as a day, or as a distance from the latest", async () => {
    await go(`#/suspicious/flow?v=1&date=${DAY}&groups=off`);
    await page.waitForSelector(".main-table .grid-row");
    await saveAs("loose", "none");
    await saveAs("fixed", "absolute");
    await saveAs("moving", "relative");
    await go(`#/suspicious/flow?v=1&date=${BEFORE}`);
    await saveAs("yesterday", "relative");
    const { views } = await api("/api/v1/views?page=suspicious/flow");
    const kept = Object.fromEntries(views.map(({ name, query }) => [name, Object.fromEntries(new URLSearchParams(query))]));
    assert.deepEqual(kept, {
      loose: { v: "1", groups: "off" },
      fixed: { v: "1", groups: "off", date: DAY },
      moving: { v: "1", groups: "off", ago: "0" },
      yesterday: { v: "1", ago: "1" },
    });
    for (const [name, date, groups] of [["loose", BEFORE, "off"], ["fixed", DAY, "off"], ["moving", DAY, "off"], ["yesterday", BEFORE, undefined]]) {
      await go(`#/suspicious/flow?v=1&date=${BEFORE}&sort=-src_bytes`);
      await openView(name);
      await page.waitForURL((url) => !url.hash.includes("sort="));
      // Opened, a time is absolute: the link shows the same tomorrow.
      assert.deepEqual(params(), { v: "1", date, ...(groups ? { groups } : {}) }, name);
    }
    await openMenu();
    assert.deepEqual(await page.$$eval(".views li .open .quiet", (all) => all.map((one) => one.textContent.trim())), [DAY, "", "the latest day", "the day before the latest"]);
    for (const colorScheme of ["light", "dark"]) {
      await inScheme(page, colorScheme);
      assert.deepEqual(await serious(page), [], colorScheme);
    }
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  test("a page begins with the view of one's choice; a link means what it says", async () => {
    await go("#/suspicious/flow?v=1");
    await openMenu();
    await page.click("button[aria-label='Begin with the view moving']");
    await page.waitForSelector("button[aria-label='Begin with the view moving'][aria-pressed=true]");
    await page.keyboard.press("Escape");
    await page.goto("about:blank");
    await page.goto(`${server.base}/`);
    await page.waitForURL((url) => url.hash.includes("groups=off"));
    await page.waitForSelector(".main-table .grid-row");
    await goKeys(page, "d");
    await page.waitForURL((url) => url.hash.startsWith("#/suspicious/dns"));
    assert.ok(!page.url().includes("ago="), "DNS begins with no view");
    await page.waitForSelector(".main-table .grid-row");
    await goKeys(page, "f");
    await page.waitForURL((url) => url.hash.startsWith("#/suspicious/flow"));
    assert.deepEqual(params(), { v: "1", groups: "off", date: DAY });
    await page.goto("about:blank");
    await go(`#/suspicious/flow?v=1&date=${DAY}`);
    await page.waitForSelector(".main-table .grid-row");
    assert.deepEqual(params(), { v: "1", date: DAY });
    await openMenu();
    await page.click("button[aria-label='Begin with the view moving']");
    await page.waitForSelector("button[aria-label='Begin with the view moving'][aria-pressed=false]");
    await page.goto("about:blank");
    await page.goto(`${server.base}/`);
    await page.waitForSelector(".main-table .grid-row");
    assert.ok(!page.url().includes("groups=off"));
    watcher.clean();
  });

  test("an administrator sets everybody's zone, and everybody may choose another", async () => {
    const head = (on) => on.textContent(".main-table .head:has-text('Time')");
    const time = (on) => on.textContent(".main-table .grid-row time");
    const list = `#/suspicious/flow?v=1&date=${DAY}`;
    await page.goto(`${server.base}/#/admin`);
    await page.fill("section:has(#everybody) input", "Nowhere/Atall");
    assert.equal(await page.getAttribute("section:has(#everybody) input", "aria-invalid"), "true");
    assert.ok(await page.isDisabled("section:has(#everybody) button"));
    await page.fill("section:has(#everybody) input", "Asia/Kolkata");
    await page.click("section:has(#everybody) button:text-is('Set')");
    await page.waitForFunction(() => document.querySelector(".top > .zone").textContent === "UTC+05:30");
    assert.equal((await api("/api/v1/me")).zone, "Asia/Kolkata");
    // Somebody else, in another zone.
    const other = await browser.newContext({ timezoneId: "Australia/Adelaide" });
    const theirs = await other.newPage();
    const { url } = await (await fetch(`${server.base}/api/v1/links`, { method: "POST", headers: { authorization: `Bearer ${server.token}` } })).json();
    await theirs.goto(url);
    await theirs.goto(`${server.base}/${list}`);
    await theirs.waitForSelector(".main-table .head:has-text('UTC+05:30')");
    assert.match(await time(theirs), /^15:30:0/);
    const choose = async (label) => {
      await theirs.click("button[aria-label=Display]");
      await theirs.check(`.settings label:has-text('${label}') input`);
    };
    await choose("Of a place");
    await theirs.fill(".settings input[list]", "Europe/Berlin");
    await theirs.waitForFunction(() => document.querySelector(".top > .zone").textContent === "Europe/Berlin");
    for (const colorScheme of ["light", "dark"]) {
      await inScheme(theirs, colorScheme);
      assert.deepEqual(await serious(theirs), [], colorScheme);
    }
    await theirs.reload();
    await theirs.waitForSelector(".main-table .grid-row");
    assert.equal(await head(theirs), "Time (Europe/Berlin)");
    assert.match(await time(theirs), /^11:00:0/);
    await choose("UTC");
    await theirs.waitForSelector(".main-table .head:has-text('Time (UTC)')");
    assert.match(await time(theirs), /^10:00:0/);
    // A press at the top goes to what is usual here, and back.
    await theirs.keyboard.press("Escape");
    await theirs.click(".top > .zone");
    await theirs.waitForSelector(".main-table .head:has-text('UTC+05:30')");
    await other.close();
    watcher.clean();
  });
});
