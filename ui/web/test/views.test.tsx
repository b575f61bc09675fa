import { render } from "preact";
import { describe, expect, it } from "vitest";
import type { DnsRow, FlowRow } from "../src/api/types";
import { bars, minuteOf } from "../src/pages/suspicious/Activity";
import { Explanation } from "../src/pages/suspicious/Explanation";
import { byChance, inWords, summary } from "../src/pages/suspicious/words";
import { Wire } from "../src/text/Wire";

function drawn(view: preact.ComponentChild): HTMLElement {
  const box = document.createElement("div");
  render(view, box);
  return box;
}

const row: DnsRow = {
  known: [],
  record_id: "0".repeat(32),
  standing: { rank: 3, spot_rank: 3, group_id: "0".repeat(16), group_size: 12, score: 0.0001, surprise_bits: 13.29, percentile: 0.9995, confidence: 0.2, word_hosts: 1, words: "spot", days_before: 0 },
  why: {
    host: "10.0.0.5",
    side: null,
    word: "0_7_3_5_12_2_16_3",
    other_word: null,
    features: [
      { name: "subdomain length", value: "5", meaning: "32 to 63 characters" },
      { name: "query type", value: "16", meaning: "TXT" },
    ],
    feature: "subdomain length",
    value: "32 to 63 characters",
    deciding_score: 0.0001,
    other_score: null,
    host_share: 0.0001,
    all_share: 0.00002,
    nearest_common: "8 to 15 characters",
    fired: [],
    usual: [{ feature: "subdomain length", value: "4 to 7 characters", share: 0.625 }],
  },
  said: { verdict: null, severity: null, allowed_by: null, suppressed_by: null, resembles: null, moved_by: [], before: null },
  first_seen: "2016-07-08T03:15:01.123456Z",
  sensor: "tap",
  client_ip: "10.0.0.5",
  server_ip: "10.0.0.1",
  transport: "udp",
  qname: "xn--80ak6aa92e.com",
  qname_wire: "xn--80ak6aa92e.com",
  qtype: 16,
  qclass: 1,
  rcode: 3,
  response_frame_len: 212,
  community_id: "1:x",
};

describe("the sides of a flow", () => {
  const { client_ip: _c, server_ip: _s, transport: _t, qname: _q, qname_wire: _w, qtype: _y, qclass: _l, rcode: _r, response_frame_len: _f, ...rest } = row;
  const flow = { ...rest, last_seen: row.first_seen, src_ip: "10.0.0.5", dst_ip: "198.51.100.7", src_port: 40000, dst_port: 443, proto: 6, src_packets: 1, src_bytes: 60, dst_packets: null, dst_bytes: null, conn_state: null, service: null, src_internal: true, dst_internal: false } as FlowRow;
  const sides = (why: Partial<FlowRow["why"]>) =>
    [...drawn(<Explanation source="flow" row={{ ...flow, why: { ...flow.why, side: "dst", other_word: "333333_TCP_3_10_2", ...why } }} />).querySelectorAll("table")]
      .find((table) => table.caption?.textContent === "P(word | host) of each side")
      ?.textContent?.replace("P(word | host) of each side", "");

  it("have their scores beside each other, the one that decided told", () => {
    expect(sides({ deciding_score: 0.25, other_score: 0.125 })).toBe("the source10.0.0.50.13: 3.0 bits of surprisethe destination, which decided198.51.100.70.25: 2.0 bits of surprise");
    expect(sides({ deciding_score: 0, other_score: 1 })).toContain("0.0: never seen");
    expect(sides({ deciding_score: 0.5, other_score: null })).toContain("not kept when this was scored");
  });

  it("and the sentence speaks of the side that decided", () => {
    const text = drawn(<Explanation source="flow" row={{ ...flow, why: { ...flow.why, side: "dst", deciding_score: 0.25 } }} />).textContent;
    expect(text).toContain("about one record in 4 looks like this");
  });
});

describe("a group", () => {
  const before = (days: number | null) => drawn(<Explanation source="dns" row={{ ...row, standing: { ...row.standing, days_before: days } }} />).textContent ?? "";
  it("is new, or was there on days before; where no day was scored, nothing is said", () => {
    expect(before(0)).toContain("with the same, of 70: new");
    expect(before(5)).toContain("with the same, of 75");
    expect(before(null)).not.toContain("days before");
  });
});

describe("what fired", () => {
  it("stands first, with its evidence and how often chance does the same", () => {
    const fired = [
      { name: "dns tunnel", strength: 4, evidence: "711 different names under relay.example carry about 23877 bytes" },
      { name: "rare word", strength: -0.5, evidence: "1 of 300 hosts have this word" },
    ];
    const found = { ...row, standing: { ...row.standing, rank: 2, spot_rank: 640 }, why: { ...row.why, fired } };
    expect(summary(found)).toBe("dns tunnel: 711 different names under relay.example carry about 23877 bytes");
    const text = drawn(<Explanation source="dns" row={found} />).textContent ?? "";
    for (const part of ["dns tunnel: 711 different names", "once in 10,000 days by chance", "about 3 a day by chance", "rank 2 of the day (640 by this score alone)"]) {
      expect(text).toContain(part);
    }
    expect(byChance(40)).toBe("not to be expected by chance");
  });
});

describe("an explanation", () => {
  it("says in words what decided", () => {
    expect(summary(row)).toBe("subdomain length 32–63: 0.01% of host, no other host");
    const of = (name: string, meaning: string) => summary({ ...row, standing: { ...row.standing, word_hosts: 9 }, why: { ...row.why, features: [], feature: name, value: meaning } });
    expect(of("bytes", "16777216 to 33554431 bytes")).toBe("16.8 MB–33.6 MB: 0.01% of host");
    expect(of("packets", "8192 to 16383 packets")).toBe("8,192–16,383 packets: 0.01% of host");
    expect(of("hour", "03:00 to 03:59 UTC")).toBe("03:00–03:59: 0.01% of host");
    expect(of("role", "owner of the low port")).toBe("owner of the low port: 0.01% of host");
    expect(inWords({ name: "port", value: "4444", meaning: "port 4444" })).toBe("port 4444");
    const text = drawn(<Explanation source="dns" row={row} />).textContent ?? "";
    for (const part of ["10.0.0.5", "one record in 10,000", "subdomain length 32 to 63 characters", "8 to 15 characters", "0.002%", "weak evidence", "аррӏе.com"]) {
      expect(text).toContain(part);
    }
  });
  it("says so when the word was never seen", () => {
    const unseen: DnsRow = { ...row, standing: { ...row.standing, score: 0, surprise_bits: null }, why: { ...row.why, deciding_score: 0, feature: null, host_share: null } };
    expect(summary(unseen)).toBe("this combination: never seen, no other host");
    expect(drawn(<Explanation source="dns" row={unseen} />).textContent).toContain("never seen when the model was made");
  });
});

describe("text from the wire", () => {
  it("makes no element of it", () => {
    const box = drawn(<Wire text={'<img src=x onerror="alert(1)">\u202e'} />);
    expect(box.querySelector("img")).toBeNull();
    expect(box.querySelectorAll(".escape")).toHaveLength(1);
    expect(box.textContent).toBe('<img src=x onerror="alert(1)">\\u{202e}');
  });
});

describe("the day at a glance", () => {
  it("sums five minutes and keeps a gap a gap", () => {
    const perMinute = Array.from({ length: 1440 }, () => 0);
    perMinute[0] = 1;
    perMinute[4] = 3;
    perMinute[5] = 16;
    const heights = bars(perMinute);
    expect(heights).toHaveLength(288);
    expect(heights.slice(0, 3)).toEqual([0.5, 1, 0]);
    expect(minuteOf("2016-07-08T23:59:01.000000Z")).toBe(1439);
  });
});
