// The storyboard's map and globe where there is a geo file, and the way of a request: referer, client, method, type, what
// it led to.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DAY, LOGS, noCommand, serve } from "./own.mjs";
import { launch, serious, skip, watchAt } from "./support.mjs";

const SPAN = { from: `${DAY}T00:00:00Z`, to: "2026-03-12T00:00:00Z" };
const number = (ip) => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
/** Apache Spot's iploc.csv: the client in Bern, the server in Reykjavik, whose name tries to be markup. */
const GEO = [
  ["10.0.0.5", "CH", "Bern", "46.9", "7.4"],
  ["198.51.100.7", "IS", "<b>Reykjavik</b>", "64.1", "-21.9"],
].map(([ip, country, city, lat, lon]) => `"${number(ip)}","${number(ip)}","${country}","${country}","","${city}","${lat}","${lon}","Cloud, Inc","example.net"\n`);
const [get] = LOGS.http;
const URI = "http://www.example.com/start";
const logs = {
  ...LOGS,
  http: [
    { ...get, uri: "/start", referrer: "http://search.example/", resp_mime_types: ["text/html"] },
    { ...get, uri: "/start", method: "POST", "id.orig_h": "10.0.0.9", resp_mime_types: ["text/html"] },
    { ...get, uri: "/then", referrer: URI },
  ],
};

describe("places and requests", { skip: skip || noCommand }, () => {
  let browser, server, page, watcher;
  before(async () => {
    server = await serve(logs, true);
    const file = join(server.folder, "iploc.csv");
    writeFileSync(file, GEO.join(""));
    const lists = join(server.folder, "bad.csv");
    writeFileSync(lists, "indicator,level,label\n198.51.100.0/24,3,c2 <i>now</i>\nexample.com,2,seen once\n");
    const add = (...args) => execFileSync(process.env.SPOTTER_BIN, ["-q", "context", "add", "--lake", join(server.folder, "lake"), ...args]);
    add(file);
    add("--kind", "reputation", lists);
    browser = await launch();
    page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
    watcher = watchAt(page, server.base);
    await page.goto(server.link);
    await page.waitForSelector("nav");
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const tell = async (subject, source) => {
    const id = await page.evaluate(async (body) => {
      const answer = await fetch("/api/v1/stories", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      return (await answer.json()).story_id;
    }, { title: `About ${subject}`, text: "What it did.", subject, source, ...SPAN });
    await page.goto(`${server.base}/#/storyboard/${id}?v=1`);
  };

  test("a map with an arc to each place, and a globe that turns", async () => {
    await tell("10.0.0.5", "flow");
    const map = page.locator('figure.chart:has(h2:text-is("Map"))');
    await map.locator(".land").waitFor();
    assert.equal(await map.locator("circle.dot").count(), 2);
    assert.equal(await map.locator(".arc").count(), 1);
    await map.locator("button:text-is('Table')").click();
    const rows = await map.locator(".twin tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    const of = (ip) => rows.find(([first]) => first === ip);
    assert.deepEqual(of("198.51.100.7").slice(0, 4), ["198.51.100.7", "<b>Reykjavik</b>, IS, Cloud, Inc", "64.1", "-21.9"]);
    assert.equal(of("10.0.0.5")[4], "itself");
    await map.locator("button:text-is('Table')").click();
    await map.locator("button:text-is('Globe')").click();
    const globe = page.locator('figure.chart:has(h2:text-is("Globe"))');
    const shape = () => globe.locator(".land").getAttribute("d");
    let before = await shape();
    await globe.locator("svg").focus();
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await shape(), before, "an arrow turns it");
    before = await shape();
    const box = await globe.locator("svg").boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 90, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    assert.notEqual(await shape(), before, "a drag turns it");
    // From the south: who is behind the globe is not drawn.
    await globe.locator("svg").focus();
    for (let at = 0; at < 14; at += 1) await page.keyboard.press("ArrowUp");
    await page.waitForFunction(() => document.querySelector(".world svg") && !document.querySelector(".world circle.dot"));
    watcher.clean();
  });

  test("the menu of a value says what lists, places and the lake know of it", async () => {
    await page.goto(`${server.base}/#/suspicious/flow?date=${DAY}`);
    await page.click(".main-table .grid-row >> nth=0 >> [data-field=dst_ip]", { button: "right" });
    await page.waitForSelector(".value-menu dl.known-of");
    const known = await page.$$eval(".value-menu dl.known-of > div", (all) => Object.fromEntries(all.map((one) => [one.children[0].textContent, one.children[1].textContent])));
    assert.equal(known.Reputation, "high, bad.csv: c2 <i>now</i>");
    assert.equal(known.Place, "<b>Reykjavik</b> Cloud, Inc, IS");
    assert.match(known["Talk to it"], /^1 host, 1 record in 30 days, since 2026-03-11 10:00 UTC$/);
    assert.equal(known.Names, "www.example.com (DNS)");
    assert.equal(await page.$(".value-menu i, .value-menu b"), null);
    // The first action has the focus all the same.
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("role")), "menuitem");
    await page.keyboard.press("Escape");
    watcher.clean();
  });

  test("rows carry the marks of lists and places, and the colour of the worst in them", async () => {
    const marks = async (source, column) => {
      await page.goto(`${server.base}/#/suspicious/${source}?date=${DAY}`);
      await page.waitForSelector(`.main-table [data-column=${column}] .marks`);
      return page.$eval(".main-table .grid-row", (row) => [row.className.match(/rep\d/)[0], ...[...row.querySelectorAll(".known-mark")].map((one) => one.getAttribute("aria-label"))]);
    };
    const flow = await marks("flow", "dst_ip");
    assert.equal(flow[0], "rep3");
    assert.ok(flow.includes("Reputation high: bad.csv: c2 <i>now</i>") && flow.some((text) => text.includes("<b>Reykjavik</b>")), `${flow}`);
    const dns = await marks("dns", "qname");
    assert.deepEqual([dns[0], dns.at(-1)], ["rep2", "Reputation medium: bad.csv: seen once"]);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      // Colours change slowly.
      await page.evaluate(() => Promise.race([Promise.allSettled(document.getAnimations().map((one) => one.finished)), new Promise((done) => setTimeout(done, 1000))]));
      assert.deepEqual(await serious(page, ["color-contrast"]), []);
    }
    watcher.clean();
  });

  test("a rule on a port is on its service's page at once, and a group stands there once", async () => {
    const shown = () => page.evaluate((span) => fetch(`/api/v1/service/tcp/443?${new URLSearchParams(span)}`).then((answer) => answer.json()), SPAN);
    const before = await shown();
    assert.deepEqual(before.rules, []);
    assert.equal(before.leaders.reduce((sum, leader) => sum + leader.alike, 0), before.scored);
    await page.goto(`${server.base}/#/noise`);
    await page.click("button:has-text('New rule')");
    await page.fill("dialog label:has-text('Port') input >> nth=0", "443");
    await page.fill("dialog label:has-text('Name') input", "the web");
    await page.click("dialog button:text-is('Make the rule')");
    await page.waitForSelector("th:has-text('the web')");
    await page.goto(`${server.base}/#/service/tcp/443?${new URLSearchParams(SPAN)}`);
    await page.waitForSelector("#policy ~ .rule, .panel-box .rule");
    assert.ok(!(await page.textContent("main")).includes("No rule names this port"));
    assert.equal((await shown()).rules.length, 1);
    watcher.clean();
  });

  test("the way of a request, column by column", async () => {
    await tell(URI, "proxy");
    const chart = page.locator('figure.chart:has(h2:text-is("Requests of the URI"))');
    await chart.locator("svg .label").first().waitFor();
    const texts = await chart.locator("svg .label").evaluateAll((all) => all.map((one) => one.querySelector("title").textContent));
    for (const text of ["http://search.example/", "10.0.0.5", "10.0.0.9", "GET", "POST", "text/html", URI, "http://www.example.com/then"]) {
      assert.ok(texts.includes(text), `${text} in ${texts}`);
    }
    // Each mark has a colour of the theme: no style that is missing leaves it black.
    const fills = await chart.locator("circle").evaluateAll((all) => [...new Set(all.map((one) => getComputedStyle(one).fill))]);
    assert.ok(!fills.includes("rgb(0, 0, 0)"), `${fills}`);
    watcher.clean();
  });
});
