// The live page moves while packets are sent over a wire in a network namespace.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { capture, noCommand, serve } from "./own.mjs";
import { launch, skip, watchAt } from "./support.mjs";

/** Frames of a DNS question, a TCP segment and a UDP datagram, sent `turns` times, one turn each 100 ms. */
const SENDER = `
import socket, struct, sys, time
def total(data):
    data += b"\\0" * (len(data) % 2)
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
def frame(src, dst, proto, body):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    head = head[:10] + struct.pack("!H", total(head)) + head[12:]
    return b"\\x02\\0\\0\\0\\0\\2\\x02\\0\\0\\0\\0\\1\\x08\\0" + head + body
def udp(src, dst, sport, dport, data): return frame(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)
name = b"".join(bytes([len(p)]) + p for p in (b"live<b>", b"example")) + b"\\0"
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); wire.bind((sys.argv[1], 0))
for turn in range(int(sys.argv[2])):
    wire.send(udp("10.1.0.5", "10.1.0.53", 40000 + turn % 1000, 53, struct.pack("!6H", turn % 65536, 0x100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1"))
    for _ in range(5): wire.send(udp("198.51.100.7", "10.1.0.5", 443, 50000, b"x" * 1000))
    time.sleep(0.1)
`;

const root = process.getuid?.() === 0;

describe("live", { skip: skip || noCommand || (root ? false : "not root: no network namespace") }, () => {
  let browser, server, namespace, taking, sending;
  before(async () => {
    namespace = `spotter-live-${process.pid}`;
    const ip = (...args) => execFileSync("ip", args);
    ip("netns", "add", namespace);
    ip("-n", namespace, "link", "add", "to", "type", "veth", "peer", "name", "from");
    for (const port of ["to", "from"]) {
      execFileSync("ip", ["netns", "exec", namespace, "sysctl", "-qw", `net.ipv6.conf.${port}.disable_ipv6=1`]);
      ip("-n", namespace, "link", "set", port, "up");
    }
    server = await serve();
    browser = await launch();
  });
  after(async () => {
    sending?.kill();
    await taking?.stop();
    await browser?.close();
    await server?.stop();
    execFileSync("ip", ["netns", "del", namespace]);
  });

  test("nothing is captured; then traffic moves the page, second by second", async () => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    const watcher = watchAt(page, server.base);
    await page.goto(server.link);
    await page.goto(`${server.base}/#/live?v=1`);
    await page.waitForSelector("text=Nothing is captured right now");
    taking = await capture(namespace, "to", server);
    sending = spawn("ip", ["netns", "exec", namespace, "python3", "-c", SENDER, "from", "600"], { stdio: "ignore" });
    // Who talks and what is asked for, with hostile names as text.
    await page.waitForSelector("section[aria-label='Top talkers'] td:has-text('198.51.100.7')");
    await page.waitForSelector("section[aria-label='Top names'] td:has-text('live<b>.example')");
    assert.equal(await page.$$eval("section[aria-label='Top names'] b", (all) => all.length), 0);
    // Each second another point.
    const seconds = () => page.$eval(".live-chart .line.s1", (line) => line.getAttribute("d").split("L").filter((point) => !point.endsWith(" 198.0")).length);
    const shown = () => page.$$eval(".live-facts dd strong", (all) => all.map((one) => one.textContent));
    assert.match((await shown())[0], /bit\/s$/);
    const line = await page.getAttribute(".live-chart .line.s1", "d");
    await page.waitForFunction((before) => document.querySelector(".live-chart .line.s1").getAttribute("d") !== before, line);
    assert.ok((await seconds()) > 0);
    // As packets: five of 1,042 bytes in each turn, ten turns a second where the machine keeps up.
    await page.click("[aria-label=Unit] >> text=Packets");
    await page.waitForFunction(() => /^[1-9]\d* pps$/.test(document.querySelector(".live-facts dd strong").textContent));
    // The table twin has the same seconds, latest first.
    await page.click(".live-chart button:text-is('Table')");
    const rows = await page.$$eval(".live-chart .twin tbody tr", (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    assert.ok(rows.some((row) => Number(row[1].replaceAll(",", "")) > 0), JSON.stringify(rows.slice(0, 3)));
    watcher.clean();
  });
});
