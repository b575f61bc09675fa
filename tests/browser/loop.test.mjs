// What goes around: a score changes the ranks of the next run; two people score at once; an exported log is imported as
// the same flows; a session that rests too long ends, and with it what was being sent; a link shows others the same view.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DAY, LOGS, noCommand, serve } from "./own.mjs";
import { launch, skip, watchAt } from "./support.mjs";

const SPOTTER = process.env.SPOTTER_BIN;
const PASSWORD = "four words in a row";
/** A quiet office: each of 40 hosts reads one server, and one host talks to two places nobody else knows, each by a port of its own. */
const conn = [
  ...Array.from({ length: 400 }, (_, at) => ({ ...LOGS.conn[0], "id.orig_h": `10.0.0.${10 + (at % 40)}`, "id.orig_p": 40_000 + at })),
  ...[["203.0.113.9", 4444], ["203.0.113.77", 31_337]].flatMap(([ip, port]) =>
    Array.from({ length: 3 }, (_, at) => ({ ...LOGS.conn[0], "id.orig_h": "10.0.0.66", "id.orig_p": 50_000 + at, "id.resp_h": ip, "id.resp_p": port, service: undefined, orig_ip_bytes: 50_000_000 + at })),
  ),
];

describe("what goes around", { skip: skip || noCommand }, () => {
  let browser, server, ada, ben;
  const call = async (page, method, path, body) => {
    const [status, text] = await page.evaluate(
      async ([method, path, body]) => {
        const answer = await fetch(path, { method, headers: { "content-type": "application/json" }, ...(body ? { body: JSON.stringify(body) } : {}) });
        return [answer.status, await answer.text()];
      },
      [method, path, body],
    );
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
  const list = (page, more = "") => call(page, "GET", `/api/v1/suspicious/flow?date=${DAY}&groups=off${more}`);
  const view = (page, hash) => page.goto(`${server.base}/#/${hash}`).then(() => page.waitForSelector(".main-table .grid-row"));
  const signIn = async (name) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${server.base}/login`);
    await page.fill("#name", name);
    await page.fill("#password", PASSWORD);
    await page.click("button[type=submit]");
    await page.waitForSelector("nav");
    return { context, page, watcher: watchAt(page, server.base, ["401"]) };
  };

  before(async () => {
    server = await serve({ conn }, true);
    browser = await launch();
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.link);
    await page.waitForSelector("nav");
    await call(page, "POST", "/api/v1/users", { name: "ada", role: "admin", password: PASSWORD });
    await context.close();
    ada = await signIn("ada");
    await call(ada.page, "POST", "/api/v1/users", { name: "ben", role: "analyst", password: PASSWORD });
    ben = await signIn("ben");
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("two people score at once: each sees what the other said, and who said it", async () => {
    for (const { page } of [ada, ben]) await view(page, `suspicious/flow?date=${DAY}&groups=off`);
    const before = await list(ada.page);
    const [first, second] = before.rows;
    const rate = async ({ page }, key, downs) => {
      await page.focus(".main-table .grid");
      await page.keyboard.press("Home");
      for (let at = 0; at < downs; at += 1) await page.keyboard.press("j");
      await page.keyboard.press(key);
    };
    await Promise.all([rate(ada, "3", 0), rate(ben, "1", 1)]);
    for (const { page } of [ada, ben]) await page.waitForSelector(".toast.good");
    const { verdicts } = await call(ada.page, "GET", "/api/v1/verdicts?source=flow");
    assert.deepEqual(
      verdicts.map((one) => [one.author, one.severity, one.record_id]).sort(),
      [["ada", 3, first.record_id], ["ben", 1, second.record_id]],
    );
    // Both are gone from both lists once they are read again.
    for (const { page } of [ada, ben]) {
      await page.reload();
      await page.waitForSelector(".main-table .grid-row");
      const keys = await page.$$eval(".main-table .grid-row", (rows) => rows.map((row) => row.dataset.key));
      assert.ok(!keys.includes(first.record_id) && !keys.includes(second.record_id));
    }
    // The same record by both: the later word counts, the earlier is kept.
    const third = before.rows[2];
    const draft = (severity) => ({ verdicts: [{ source: "flow", record_id: third.record_id, date: DAY, scope: "record", severity }] });
    await call(ada.page, "POST", "/api/v1/verdicts", draft(3));
    await call(ben.page, "POST", "/api/v1/verdicts", draft(1));
    const [row] = (await list(ada.page, "&show=rated")).rows.filter((one) => one.record_id === third.record_id);
    assert.equal(row.said.severity, 1);
    // Taken back, the earlier word counts again; without it nothing is said.
    for (const severity of [3, null]) {
      const { verdicts } = await call(ada.page, "GET", "/api/v1/verdicts?source=flow");
      for (const one of verdicts) await call(ada.page, "DELETE", `/api/v1/verdicts/${one.id}`);
      const row = await call(ada.page, "GET", `/api/v1/suspicious/flow/${third.record_id}?date=${DAY}`);
      assert.equal(row.said.severity, severity);
    }
    assert.equal((await list(ben.page)).matching, before.matching);
    ada.watcher.clean();
    ben.watcher.clean();
  });

  test("a score changes the ranks of the next run", async () => {
    const before = await list(ada.page, "&limit=1000");
    const to = (lines, ip) => Math.min(...lines.rows.filter((row) => row.dst_ip === ip).map((row) => row.standing.rank));
    const places = ["203.0.113.9", "203.0.113.77"].sort((a, b) => to(before, a) - to(before, b));
    const [benign, other] = places;
    assert.ok(to(before, benign) < to(before, other), "one stands before the other");
    await view(ada.page, `suspicious/flow?date=${DAY}&filter=${encodeURIComponent(`dst_ip == ${benign}`)}`);
    await ada.page.focus(".main-table .grid");
    await ada.page.keyboard.press("Home");
    await ada.page.keyboard.press("s");
    await ada.page.waitForSelector("dialog[open]");
    await ada.page.check(`dialog label:has-text("${benign}") >> nth=-1 >> input`);
    await ada.page.check("dialog label:has-text('low') input");
    await ada.page.click("dialog button.primary");
    await ada.page.waitForSelector("dialog", { state: "detached" });
    const [said] = (await call(ada.page, "GET", "/api/v1/verdicts?source=flow")).verdicts;
    assert.equal(said.severity, 3);
    execFileSync(SPOTTER, ["-q", "score", "--lake", join(server.folder, "lake"), "--source", "flow", "--date", DAY, "--words", "rich"]);
    const after = await list(ada.page, "&limit=1000&show=all");
    assert.notEqual(after.run.run_id, before.run.run_id);
    assert.ok(to(after, benign) > to(after, other), `${benign} stands at ${to(after, benign)} behind ${other} at ${to(after, other)} now`);
    const moved = after.rows.find((row) => row.dst_ip === benign);
    assert.ok(moved.said.moved_by.length > 0, "the row says what moved it");
    await view(ada.page, `suspicious/flow?date=${DAY}&show=all&selected=${moved.record_id}`);
    await ada.page.waitForSelector(".said-of:has-text('it was moved by')");
    ada.watcher.clean();
  });

  test("an exported log is imported as the same flows", async () => {
    const { page } = ada;
    await page.goto(`${server.base}/#/ip/10.0.0.66?from=${DAY}T00:00:00Z&to=2026-03-12T00:00:00Z&sources=flow`);
    await page.waitForSelector(".timeline .grid-row");
    await page.click(".timeline >> text=Export");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(".exports >> text=Zeek log")]);
    const folder = mkdtempSync(join(tmpdir(), "spotter-again-"));
    try {
      const lake = join(folder, "lake");
      await download.saveAs(join(folder, "conn.log"));
      execFileSync(SPOTTER, ["-q", "import", "--lake", lake, join(folder, "conn.log")]);
      const sql = "select src_ip, dst_ip, src_port, dst_port, proto, src_bytes, dst_bytes, src_packets, dst_packets, conn_state, community_id, first_seen, last_seen from flow where src_ip = '10.0.0.66' order by first_seen, src_port, dst_ip";
      const rows = (of) => JSON.parse(execFileSync(SPOTTER, ["-q", "query", "--lake", of, "--format", "json", sql], { encoding: "utf8" }));
      const again = rows(lake);
      assert.equal(again.length, 6);
      assert.deepEqual(again, rows(join(server.folder, "lake")));
    } finally {
      rmSync(folder, { recursive: true });
    }
    ada.watcher.clean();
  });

  test("a link shows another person exactly the view it was copied from", async () => {
    const hash = `suspicious/flow?v=1&date=${DAY}&filter=${encodeURIComponent("dst_port in (443, 4444) and src_bytes > 100")}&groups=off&sort=-src_bytes&cols=rank,time,src_ip,dst_port,src_bytes,confidence&show=all&graph=on`;
    await view(ada.page, hash);
    await ada.page.click(".main-table .grid-row [data-column=time] >> nth=1");
    await ada.page.waitForSelector(".details .raw .grid-row");
    await ada.page.click("role=tab[name='All columns']");
    await ada.page.waitForSelector("dl.columns");
    const seen = async ({ page }) => {
      await page.waitForSelector("dl.columns");
      await page.waitForSelector(".stage[data-settled=true]");
      return page.evaluate(() => ({
        hash: location.hash,
        heads: [...document.querySelectorAll(".main-table .grid-head > *")].map((one) => one.textContent),
        rows: [...document.querySelectorAll(".main-table .grid-row")].map((one) => [one.dataset.key, one.textContent, one.getAttribute("aria-selected")]),
        details: document.querySelector(".details").textContent,
        query: document.querySelector("#filter").value,
      }));
    };
    const shown = await seen(ada);
    assert.ok(shown.rows.length > 2 && shown.rows.some(([, , selected]) => selected === "true"));
    await ben.page.goto(ada.page.url());
    assert.deepEqual(await seen(ben), shown);
    ben.watcher.clean();
  });

  test("a session that rests too long ends, and the live stream with it, by code 1008", async () => {
    const { page } = ben;
    await page.goto(`${server.base}/#/health`);
    await page.waitForSelector(".tiles");
    const closed = page.evaluate(
      () =>
        new Promise((done) => {
          const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/v1/live`);
          socket.onopen = () => (document.body.dataset.open = "yes");
          socket.onclose = (event) => done([event.code, event.reason]);
        }),
    );
    await page.waitForSelector("body[data-open=yes]");
    // Its last use is put two days back, as if nobody had touched it.
    execFileSync("python3", ["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=20); n = c.execute(\"update sessions set used = used - 172800000000 where user_id = (select user_id from users where name = 'ben')\").rowcount; c.commit(); assert n == 1, n", state(server)]);
    const [code, reason] = await closed;
    assert.equal(code, 1008, reason);
    await page.click("nav >> text=Noise");
    await page.waitForURL((url) => url.pathname === "/login");
    // Who works on is not touched.
    await view(ada.page, `suspicious/flow?date=${DAY}`);
    ada.watcher.clean();
  });
});

const state = ({ folder }) => {
  const path = join(folder, "lake", "state.sqlite");
  assert.ok(existsSync(path), path);
  return path;
};
