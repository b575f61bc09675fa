// A server of one's own, for tests that change who may come in, what is captured or what is shown: over a lake of the
// logs it is given, gone afterwards.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SPOTTER = process.env.SPOTTER_BIN;
/** Why such tests cannot run, or false. */
export const noCommand = SPOTTER ? false : "SPOTTER_BIN is not set: no command to start";

/** Starts the command; `until` finds in what it printed what is waited for. */
function start(program, args, until) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (chunk) => {
      text += chunk;
      const found = until(text);
      if (found) resolve({ found, ended, stop: async () => (child.kill("SIGINT"), await ended) });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then((code) => reject(new Error(`${program} ${args.join(" ")} ended with ${code}:\n${text}`)));
  });
}

const ends = { "id.orig_h": "10.0.0.5", "id.orig_p": 50000, "id.resp_h": "10.0.0.53", "id.resp_p": 53 };
/** A record of each kind, as Zeek's JSON logs have them: `uid`s and times are put in. */
export const LOGS = {
  conn: [{ ...ends, "id.resp_p": 443, "id.resp_h": "198.51.100.7", proto: "tcp", service: "ssl", duration: 1.5, orig_bytes: 900, resp_bytes: 4000, conn_state: "SF", orig_pkts: 9, orig_ip_bytes: 1300, resp_pkts: 8, resp_ip_bytes: 4400 }],
  dns: [{ ...ends, proto: "udp", trans_id: 7, query: "www.example.com", qclass: 1, qtype: 1, qtype_name: "A", rcode: 0, rcode_name: "NOERROR", answers: ["198.51.100.7"] }],
  http: [{ ...ends, "id.resp_p": 80, "id.resp_h": "198.51.100.7", method: "GET", host: "www.example.com", uri: "/", user_agent: "curl/8", status_code: 200, request_body_len: 0, response_body_len: 512 }],
};
/** The day of those records. */
export const DAY = "2026-03-11";

/** `spotter serve` over a new lake of these logs, scored if `score`: by rich words, or with these arguments. */
export async function serve(logs = LOGS, score = false) {
  const folder = mkdtempSync(join(tmpdir(), "spotter-own-"));
  const lake = join(folder, "lake");
  if (Object.keys(logs).length === 0) {
    // A capture without a packet makes a lake without a record.
    writeFileSync(join(folder, "empty.pcap"), Buffer.from("d4c3b2a1020004000000000000000000ffff000001000000", "hex"));
    execFileSync(SPOTTER, ["-q", "import", "--lake", lake, join(folder, "empty.pcap")]);
  }
  for (const [path, records] of Object.entries(logs)) {
    const from = Date.parse(`${DAY}T10:00:00Z`) / 1000;
    const lines = records.map((record, at) => JSON.stringify({ _path: path, ts: from + at, uid: `C${path}${at}`, ...record }));
    writeFileSync(join(folder, `${path}.log`), `${lines.join("\n")}\n`);
    execFileSync(SPOTTER, ["-q", "import", "--lake", lake, join(folder, `${path}.log`)]);
  }
  if (score) execFileSync(SPOTTER, ["-q", "score", "--lake", lake, "--source", "all", "--date", DAY, ...(score === true ? ["--words", "rich"] : score)]);
  const socket = join(folder, "live.sock");
  const args = ["serve", "--lake", lake, "--listen", "127.0.0.1:0", "--feed-socket", socket];
  const server = await start(SPOTTER, args, (text) => {
    const link = /(http:\/\/\S+)\/\?token=(\w+)/.exec(text);
    const code = /\/setup and the code ([\w-]+)/.exec(text);
    const token = /^API token: (\w+)/m.exec(text);
    return link && code && token ? { base: link[1], link: link[0], code: code[1], token: token[1] } : undefined;
  });
  return {
    ...server.found,
    folder,
    socket,
    /** The files of the kept models go, as by retention. */
    removeModels: () => rmSync(join(lake, "models"), { recursive: true }),
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `spotter capture` on a port of a namespace, which reports to the server. */
export async function capture(namespace, port, { folder, socket }) {
  const args = ["netns", "exec", namespace, SPOTTER, "capture", "-i", port, "--mode", "af_packet", "--policy", "tap", "--feed", socket, "--lake", join(folder, "captured")];
  return start("ip", args, (text) => /captur/i.test(text));
}

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
/** Why there can be no wire, or false. */
export const noWire = root ? false : "not root: no network namespace";

/** Two ports in a network namespace, a cable between them: what is sent `from` one arrives at the other, `to`. */
export function wire(name) {
  const namespace = `spotter-${name}-${process.pid}`;
  const ip = (...args) => execFileSync("ip", args);
  ip("netns", "add", namespace);
  ip("-n", namespace, "link", "add", "to", "type", "veth", "peer", "name", "from");
  for (const port of ["to", "from"]) {
    execFileSync("ip", ["netns", "exec", namespace, "sysctl", "-qw", `net.ipv6.conf.${port}.disable_ipv6=1`]);
    ip("-n", namespace, "link", "set", port, "up");
  }
  let sending;
  return {
    namespace,
    send: (turns) => {
      sending = spawn("ip", ["netns", "exec", namespace, "python3", "-c", SENDER, "from", String(turns)], { stdio: "ignore" });
    },
    remove: () => {
      sending?.kill();
      ip("netns", "del", namespace);
    },
  };
}

/** `spotter collect` into the lake of a server, a set each second; `port` is where exports go. */
export async function collect({ folder }) {
  const args = ["collect", "--lake", join(folder, "lake"), "--sensor", "edge", "--listen", "127.0.0.1:0", "--flush", "1s", "--active-timeout", "1s"];
  const running = await start(SPOTTER, args, (text) => /listening on \S*:(\d+)/.exec(text)?.[1]);
  return { port: Number(running.found), stop: running.stop };
}
