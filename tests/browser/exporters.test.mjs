// What exporters send, how late, and what their numbers miss: on Health, on Ingest, and for Prometheus.

import assert from "node:assert/strict";
import dgram from "node:dgram";
import { after, before, describe, test } from "node:test";
import { collect, noCommand, serve } from "./own.mjs";
import { launch, serious, skip, watchAt } from "./support.mjs";

/** A NetFlow v5 datagram with one flow that ended `lag` ms ago; `sequence` is the number of its first flow. */
function netflow5(sequence, lag) {
  const bytes = Buffer.alloc(24 + 48);
  const now = Date.now();
  bytes.writeUInt16BE(5, 0);
  bytes.writeUInt16BE(1, 2);
  bytes.writeUInt32BE(100_000, 4); // uptime, ms
  bytes.writeUInt32BE(Math.floor(now / 1000), 8);
  bytes.writeUInt32BE((now % 1000) * 1_000_000, 12);
  bytes.writeUInt32BE(sequence, 16);
  bytes.set([10, 0, 0, 1 + (sequence % 200), 192, 0, 2, 1], 24);
  bytes.writeUInt32BE(7, 24 + 16); // packets
  bytes.writeUInt32BE(700, 24 + 20);
  bytes.writeUInt32BE(100_000 - lag - 500, 24 + 24);
  bytes.writeUInt32BE(100_000 - lag, 24 + 28);
  bytes.writeUInt16BE(40_000, 24 + 32);
  bytes.writeUInt16BE(443, 24 + 34);
  bytes.set([6], 24 + 38);
  return bytes;
}

describe("exporters", { skip: skip || noCommand }, () => {
  let browser, server, collector, page, watcher;
  before(async () => {
    server = await serve();
    collector = await collect(server);
    const socket = dgram.createSocket("udp4");
    const send = (bytes) => new Promise((resolve, reject) => socket.send(bytes, collector.port, "127.0.0.1", (error) => (error ? reject(error) : resolve())));
    // Ten flows, then a gap of thirty, then ten more.
    for (let n = 0; n < 20; n += 1) await send(netflow5(n < 10 ? n : n + 30, 4_000));
    socket.close();
    browser = await launch();
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    page = await context.newPage();
    watcher = watchAt(page, server.base);
    await page.goto(server.link);
  });
  after(async () => {
    await browser?.close();
    await collector?.stop();
    await server?.stop();
  });

  const ask = async (path) => {
    const answer = await fetch(server.base + path, { headers: { authorization: `Bearer ${server.token}` } });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer;
  };

  test("health tells each exporter's last message, its lag and what its numbers miss", async () => {
    let known = [];
    for (let turn = 0; turn < 100 && (known[0]?.flows ?? 0) < 20; turn += 1) {
      known = (await (await ask("/api/v1/status")).json()).exporters;
      await new Promise((done) => setTimeout(done, 200));
    }
    const [one] = known;
    assert.deepEqual([known.length, one.sensor, one.protocol, one.address, one.messages, one.flows, one.lost, one.lost_unit], [1, "edge", "netflow5", "127.0.0.1", 20, 20, 30, "flows"]);
    assert.ok(one.lag_seconds >= 3.9 && one.lag_seconds < 60, String(one.lag_seconds));
    assert.ok(one.lag_longest_seconds >= one.lag_seconds && one.age_seconds < 600);
    assert.deepEqual([one.clock_ahead, one.clock_behind], [0, 0]);
    await page.goto(`${server.base}/#/health`);
    const row = page.locator("section[aria-labelledby=exporters] tbody tr");
    await row.waitFor();
    const cells = await row.locator("th, td").allTextContents();
    assert.match(cells[0], /^netflow5 127\.0\.0\.1 0$/);
    assert.match(cells[1], / (ms|s) ago$| min/);
    assert.match(cells[2], /^\d+(\.\d)? s$/);
    assert.deepEqual(cells.slice(4), ["20", "30 flows", "0"]);
    assert.deepEqual(await serious(page), []);
    watcher.clean();
  });

  test("Prometheus has the same", async () => {
    const text = await (await ask("/metrics")).text();
    const labels = 'collector="collect",exporter="127.0.0.1",protocol="netflow5",domain="0"';
    assert.ok(text.includes(`spotter_exporter_lost_total{${labels},unit="flows"} 30\n`), text);
    assert.ok(text.includes(`spotter_exporter_flows_total{${labels}} 20\n`));
    assert.match(text, /spotter_exporter_lag_seconds\{[^}]*\} [4-9]/);
    assert.match(text, /spotter_exporter_last_timestamp_seconds\{[^}]*\} 1\d{9}/);
  });

  test("ingest tells the same of the time that is shown", async () => {
    const now = Date.now();
    const at = (ms) => encodeURIComponent(new Date(ms).toISOString());
    await page.goto(`${server.base}/#/ingest?from=${at(now - 3_600_000)}&to=${at(now + 3_600_000)}`);
    const row = page.locator("section[aria-labelledby=exporters] tbody tr");
    await row.waitFor();
    const cells = await row.locator("th, td").allTextContents();
    assert.deepEqual(cells.slice(0, 4), ["collect netflow5 127.0.0.1 0", "20", "20", "30 flows"]);
    assert.match(cells[4], / s$/);
    watcher.clean();
  });
});
