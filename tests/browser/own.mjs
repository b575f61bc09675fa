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

/** `spotter serve` over a new lake of these logs, scored if `score`. */
export async function serve(logs = LOGS, score = false) {
  const folder = mkdtempSync(join(tmpdir(), "spotter-own-"));
  const lake = join(folder, "lake");
  for (const [path, records] of Object.entries(logs)) {
    const from = Date.parse(`${DAY}T10:00:00Z`) / 1000;
    const lines = records.map((record, at) => JSON.stringify({ _path: path, ts: from + at, uid: `C${path}${at}`, ...record }));
    writeFileSync(join(folder, `${path}.log`), `${lines.join("\n")}\n`);
    execFileSync(SPOTTER, ["-q", "import", "--lake", lake, join(folder, `${path}.log`)]);
  }
  if (score) execFileSync(SPOTTER, ["-q", "score", "--lake", lake, "--source", "all", "--date", DAY, "--words", "rich"]);
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
