// Files of exactly what is shown: raw records around a row, a timeline that is narrowed, pictures; and what the audit log
// says of them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, open, scoredDays, serious, signIn, skip, subjects, watch } from "./support.mjs";

describe("exports", { skip }, () => {
  // `blank` has none of the application's policy: there files can be looked into.
  let browser, context, page, blank, watcher, found;
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser));
    watcher = watch(page);
    blank = await context.newPage();
    found = await subjects();
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });

  /** What a press of the item in an open menu saves. */
  const saved = async (press) => {
    const [download] = await Promise.all([page.waitForEvent("download"), press()]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  };
  const lines = ({ bytes }) => bytes.toString().trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const lastOf = async (action) => (await api("/api/v1/audit?limit=20")).entries.find((entry) => entry.action === action);

  for (const source of ["flow", "dns", "proxy"]) {
    test(`${source}: the raw records around a row are saved as they are shown`, async (t) => {
      const [date] = await scoredDays(source);
      if (!date) return t.skip(`the lake has no scored ${source} records`);
      await open(page, `#/suspicious/${source}?date=${date}&selected=${found.row[source]}`);
      await page.waitForSelector(".raw .grid-row");
      const row = (await api(`/api/v1/suspicious/${source}?date=${date}&limit=1`)).rows[0];
      const asked = { flow: { src: row.src_ip, dst: row.dst_ip }, dns: { name: row.qname }, proxy: { uri: row.full_uri, client: row.client_ip } }[source];
      const details = await api(`/api/v1/details/${source}?${new URLSearchParams({ ...asked, time: row.first_seen, limit: "1000" })}`);
      assert.equal(details.more, false);
      await page.click(".raw button:text-is('Export these records')");
      assert.deepEqual(await serious(page), []);
      const file = await saved(() => page.click(".exports a:text-is('JSON Lines')"));
      assert.deepEqual(lines(file).map((record) => record.record_id), details.rows.map((one) => one.record_id));
      assert.equal(file.name, `spotter-details-${source}.jsonl`);
      const end = await lastOf("export.end");
      assert.equal(end.detail, details.rows.length === 1 ? "1 row" : `${details.rows.length} rows`);
      const begin = await lastOf("export");
      assert.ok(end.subject === `entry ${begin.seq}` && begin.subject.startsWith(`/api/v1/export/details/${source} format="jsonl"`), begin.subject);
      watcher.clean();
    });
  }

  test("a timeline of suspicious records only is saved as it is shown", async () => {
    const span = { from: found.from, to: found.to };
    const asked = new URLSearchParams({ subject: found.host, ...span, sources: "flow", limit: "1000" });
    const [all, flagged] = [await api(`/api/v1/timeline?${asked}`), await api(`/api/v1/timeline?${asked}&flagged=true&order=desc`)];
    assert.ok(flagged.rows.length > 0 && flagged.next_cursor === null && flagged.rows.length < all.rows.length, `${flagged.rows.length} of ${all.rows.length}`);
    await page.goto(`${BASE}/#/ip/${found.host}?${new URLSearchParams({ v: "1", ...span, sources: "flow", flagged: "on", order: "desc" })}`);
    await page.waitForSelector(".timeline-grid .grid-row");
    await page.click(".timeline button:text-is('Export')");
    const file = await saved(() => page.click(".exports a:text-is('JSON Lines')"));
    assert.deepEqual(lines(file).map((record) => record.record_id), flagged.rows.map((row) => row.record_id));
    watcher.clean();
  });

  test("the network view is saved as SVG, in lines and text, and as PNG", async () => {
    const [date] = await scoredDays("flow");
    await open(page, `#/suspicious/flow?date=${date}&graph=on`);
    await page.waitForSelector('.stage[data-settled="true"]');
    const save = async (item) => {
      await page.click(".picture button:text-is('Save')");
      return saved(() => page.click(`.menu button:has-text('${item}')`));
    };
    const svg = await save("SVG");
    assert.equal(svg.name, "Network-view.svg");
    const summary = await page.getAttribute(".picture .drawing", "aria-label");
    const [, nodes, links] = /^([\d,]+) nodes and ([\d,]+) links/.exec(summary).map((text) => Number(text.replaceAll(",", "")));
    const drawn = await blank.evaluate((text) => {
      const document = new DOMParser().parseFromString(text, "image/svg+xml");
      const all = [...document.querySelectorAll("*")];
      const paths = [...document.querySelectorAll("path")];
      const filled = paths.filter((path) => path.getAttribute("fill") !== "none");
      return {
        fault: document.querySelector("parsererror")?.textContent ?? "",
        names: [...new Set(all.map((element) => element.localName))].sort(),
        filled: filled.length,
        stroked: paths.length - filled.length,
        inks: new Set(filled.map((path) => path.getAttribute("fill"))).size,
        texts: [...document.querySelectorAll("text")].map((one) => one.textContent),
      };
    }, svg.bytes.toString());
    assert.equal(drawn.fault, "");
    assert.deepEqual(drawn.names, ["path", "rect", "svg", "text"]);
    // A node is filled and has an outline; a link is a line.
    assert.deepEqual([drawn.filled, drawn.stroked], [nodes, nodes + links]);
    assert.ok(drawn.inks >= 2, "internal and external differ");
    await page.click(".picture button:text-is('Table')");
    const names = new Set(await page.$$eval(".picture .twin tbody td", (cells) => cells.map((cell) => cell.textContent)));
    await page.click(".picture button:text-is('Table')");
    assert.ok(drawn.texts.length > 3 && drawn.texts.some((text) => names.has(text)), `${drawn.texts}`);

    await page.waitForSelector('.stage[data-settled="true"]');
    const png = await save("PNG");
    assert.equal(png.name, "Network-view.png");
    const picture = await blank.evaluate(async (base64) => {
      const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]));
      const canvas = new OffscreenCanvas(image.width, image.height);
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      const { data } = pen.getImageData(0, 0, image.width, image.height);
      const inks = new Set();
      for (let at = 0; at < data.length; at += 4) inks.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
      return { size: [image.width, image.height], inks: inks.size, opaque: data[3] === 255 };
    }, png.bytes.toString("base64"));
    assert.deepEqual(picture.size, await page.$eval(".stage canvas", (canvas) => [canvas.width, canvas.height]));
    assert.ok(picture.opaque && picture.inks > 20, JSON.stringify(picture));
    watcher.clean();
  });

  test("charts that are drawn in lines are saved as they look", async () => {
    await page.goto(`${BASE}/#/ingest/flow?v=1`);
    await page.waitForSelector(".time-chart svg");
    // One source alone.
    assert.deepEqual(await page.$$eval("[aria-label=Source] button", (all) => all.map((one) => [one.textContent, one.getAttribute("aria-pressed")])), [["All sources", "false"], ["Flows", "true"], ["DNS", "false"], ["Proxy", "false"]]);
    await page.click(".chart button:text-is('Save')");
    const svg = await saved(() => page.click(".menu button:has-text('SVG')"));
    const text = svg.bytes.toString();
    assert.ok(text.startsWith("<svg") && !/<script|class=|style=|href/.test(text), text.slice(0, 200));
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.ok(text.includes(`fill="${ground}"`), "it has a ground of its own");
    watcher.clean();
  });
});
