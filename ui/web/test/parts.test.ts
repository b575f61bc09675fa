import { describe, expect, it } from "vitest";
import type { DnsRow, FlowRow, ProxyRow } from "../src/api/types";
import { graphOf, hubs, parentOf } from "../src/pages/suspicious/picture/graph";
import { idsOf, treeOf, wayTo } from "../src/pages/suspicious/picture/tree";
import { zoomed } from "../src/pages/suspicious/picture/usePanZoom";
import type { Row } from "../src/pages/suspicious/list";
import { fileName, toCsv } from "../src/parts/download";
import { chosenColumns } from "../src/parts/table/ColumnChooser";
import { exclude, include, literal } from "../src/parts/value/compose";

describe("CSV", () => {
  it("is RFC 4180 and starts no formula", () => {
    expect(toCsv(["a", "b"], [["x,y", 'say "hi"'], [null, 5], ["two\nlines", true]])).toBe('a,b\r\n"x,y","say ""hi"""\r\n,5\r\n"two\nlines",true\r\n');
    for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]) expect(toCsv([], [[text]]).slice(2).replace(/^"/, "")).toMatch(/^'/);
    expect(toCsv([], [[-5]])).toBe("\r\n-5\r\n");
  });
  it("goes into a file whose name no system takes amiss", () => {
    expect(fileName('../a b/"c".\u202e', "csv")).toBe("a-b-c.csv");
    expect(fileName("…", "png")).toBe("spotter.png");
  });
});

describe("queries put together", () => {
  it("quote what is not a plain word", () => {
    expect(literal("10.0.0.5")).toBe("10.0.0.5");
    expect(literal("2001:db8::/32")).toBe("2001:db8::/32");
    expect(literal("or")).toBe('"or"');
    expect(literal("*.a")).toBe('"*.a"');
    expect(literal("1..5")).toBe('"1..5"');
    expect(literal('a "b" \\c')).toBe('"a \\"b\\" \\\\c"');
    expect(literal("gpj\u202eexe\u0000")).toBe('"gpj\\u{202e}exe\\u{0}"');
    expect(literal("")).toBe('""');
  });
  it("keep what was asked for together", () => {
    expect(include("", "src_ip", "10.0.0.5")).toBe("src_ip == 10.0.0.5");
    expect(include("dst_port == 22", "src_ip", "a")).toBe("dst_port == 22 and src_ip == a");
    expect(exclude("a or b", "src_ip", "c")).toBe("(a or b) and src_ip != c");
    expect(include('uri == "x or y"', "host", "h")).toBe('uri == "x or y" and host == h');
  });
});

describe("columns", () => {
  const all = ["a", "b", "c"].map((key) => ({ key, label: key, width: "1px", render: () => null }));
  const keys = (choice: string, standard?: string[]) => chosenColumns(all, choice, standard).map((column) => column.key);
  it("are those chosen, in their order, each once; the standard ones otherwise", () => {
    expect(keys("c,a,c,nosuch")).toEqual(["c", "a"]);
    expect(keys("", ["b"])).toEqual(["b"]);
    expect(keys("nosuch")).toEqual(["a", "b", "c"]);
  });
});

const standing = (rank: number, percentile = 0.5) => ({ rank, spot_rank: rank, group_id: "0", group_size: 1, score: 0.1, surprise_bits: 3, percentile, confidence: 1, word_hosts: 1, words: "spot", days_before: null });
const flow = (id: number, src_ip: string, dst_ip: string, percentile?: number) => ({ record_id: String(id), standing: standing(id, percentile), src_ip, dst_ip, src_internal: true, dst_internal: false }) as unknown as FlowRow;
const dns = (id: number, client_ip: string, qname: string) => ({ record_id: String(id), standing: standing(id), client_ip, qname }) as unknown as DnsRow;
const proxy = (id: number, method: string, host: string, full_uri: string, client_ip: string) => ({ record_id: String(id), standing: standing(id), method, host, full_uri, client_ip }) as unknown as ProxyRow;

describe("the graph", () => {
  it("has a node for each address and one link for each pair, either way", () => {
    const { nodes, links } = graphOf([flow(1, "a", "b", 0.9995), flow(2, "b", "a"), flow(3, "a", "c"), flow(4, "d", "d")], new Set());
    expect(nodes.map((node) => [node.id, node.shape, node.rows.join()])).toEqual([["a", "diamond", "1,2,3"], ["b", "circle", "1,2"], ["c", "circle", "3"], ["d", "diamond", "4"]]);
    expect(links.map((link) => [link.rows.join(), link.band, link.rank])).toEqual([["1,2", "high", 1], ["3", "usual", 3], ["4", "usual", 4]]);
    expect(nodes.map((node) => node.degree)).toEqual([2, 1, 1, 1]);
  });
  it("leaves hidden nodes out, and takes neighbours of nodes that are there", () => {
    const graph = graphOf([flow(1, "a", "b"), flow(2, "a", "c")], new Set(["c"]), [{ of: "a", id: "e", internal: true }, { of: "z", id: "y", internal: false }, { of: "a", id: "c", internal: false }]);
    expect(graph.nodes.map((node) => [node.id, node.added])).toEqual([["a", false], ["b", false], ["e", true]]);
    expect(graph.links.at(-1)).toMatchObject({ added: true, rows: [] });
  });
  it("knows the hubs", () => {
    const rows: Row[] = Array.from({ length: 20 }, (_, at) => flow(at, "hub", `p${at}`));
    expect(hubs(graphOf(rows, new Set()))).toEqual(["hub"]);
    expect(hubs(graphOf(rows.slice(0, 5), new Set()))).toEqual([]);
  });
  it("makes one node of the many names of a tunnel", () => {
    const rows = [...Array.from({ length: 4 }, (_, at) => dns(at, "c", `x${at}.relay.example`)), dns(9, "c", "www.other.example"), dns(10, "d", "x1.relay.example")];
    expect(graphOf(rows, new Set()).nodes.map((node) => node.id)).toEqual(["c", "*.relay.example", "www.other.example", "d", "x1.relay.example"]);
    expect([parentOf("a.b.c"), parentOf("b.c"), parentOf("c")]).toEqual(["b.c", "b.c", "c"]);
  });
});

describe("the tree of requests", () => {
  const rows = [proxy(2, "GET", "h", "http://h/a?b#c", "10.0.0.1"), proxy(1, "GET", "h", "http://h/a?b#c", "10.0.0.2"), proxy(3, "CONNECT", "k:443", "k:443", "10.0.0.1"), proxy(4, "GET", "-", "http://-/x", "10.0.0.9")];
  const root = treeOf(rows);
  it("goes from method to host to path to client; a host of - is skipped", () => {
    const walk = (at: typeof root): unknown => [at.name, at.rank, ...at.children.map(walk)];
    expect(walk(root)).toEqual(["Requests", 1, ["GET", 1, ["h", 1, ["/a?b#c", 1, ["10.0.0.1", 2], ["10.0.0.2", 1]]]], ["CONNECT", 3, ["k:443", 3, ["/", 3, ["10.0.0.1", 3]]]]]);
  });
  it("knows the way to a record", () => {
    const all = (at: typeof root): (typeof root)[] => [at, ...at.children.flatMap(all)];
    const names = new Map(all(root).map((branch) => [branch.id, branch.name]));
    expect(wayTo(root, "1").map((id) => names.get(id))).toEqual(["Requests", "GET", "h", "/a?b#c", "10.0.0.2"]);
    expect(wayTo(root, "4")).toEqual([]);
    expect(new Set(idsOf(root)).size).toBe(idsOf(root).length);
  });
  it("names branches shortly, each its own way, and the same on every day", () => {
    const many = treeOf(Array.from({ length: 5000 }, (_, at) => proxy(at, "GET", `h${at % 50}`, `http://h${at % 50}/p${at}`, "10.0.0.1")));
    const ids = idsOf(many);
    expect([ids.length, new Set(ids).size]).toEqual([10_052, 10_052]);
    expect(ids.every((id) => /^[0-9a-z]{0,11}$/.test(id))).toBe(true);
    expect(treeOf(rows.toReversed()).children.map((branch) => branch.id).toSorted()).toEqual(root.children.map((branch) => branch.id).toSorted());
  });
});

describe("zooming", () => {
  it("keeps what is under the pointer there, within bounds", () => {
    const before = { x: 10, y: 20, k: 1 };
    const after = zoomed(before, 2, 100, 50);
    expect([(100 - after.x) / after.k, (50 - after.y) / after.k]).toEqual([(100 - before.x) / before.k, (50 - before.y) / before.k]);
    expect(zoomed(before, 1e9, 0, 0).k).toBe(8);
    expect(zoomed(before, 1e-9, 0, 0).k).toBe(0.1);
  });
});
