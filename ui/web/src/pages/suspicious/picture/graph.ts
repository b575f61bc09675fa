// The rows as a graph: who with whom. Flows: two addresses; DNS: a client and a name, with names of one parent in one
// node where a client asks for many of them (a tunnel would be a cloud of hundreds otherwise).

import type { DnsRow, FlowRow } from "../../../api/types";
import { type Band, band } from "../../../text/units";
import type { Row } from "../list";

export type Shape = "diamond" | "circle";

export interface Node {
  /** What it stands for: an address, a name, `*.parent`. */
  id: string;
  /** Field of the query it is filtered by. */
  field: "ip" | "client_ip" | "qname";
  shape: Shape;
  /** Known to be one of our own. */
  internal: boolean | null;
  rows: string[];
  /** Best rank among its rows. */
  rank: number;
  degree: number;
  /** From the raw records, not from the list. */
  added: boolean;
}

export interface Link {
  source: number;
  target: number;
  rows: string[];
  band: Band;
  rank: number;
  /** Largest surprise, bits. */
  bits: number;
  added: boolean;
}

export interface Graph {
  nodes: Node[];
  links: Link[];
}

/** A neighbour that the raw records know and the list does not. */
export interface Neighbour {
  of: string;
  id: string;
  internal: boolean;
}

/** Names of one parent and client that become one node. */
const MANY = 4;
const ORDER: Record<Band, number> = { extreme: 3, high: 2, raised: 1, usual: 0 };

interface Pair {
  a: Omit<Node, "rows" | "rank" | "degree" | "added">;
  b: Omit<Node, "rows" | "rank" | "degree" | "added">;
}

function flowPair(row: FlowRow): Pair {
  const end = (id: string, internal: boolean | null) => ({ id, field: "ip" as const, shape: internal ? ("diamond" as const) : ("circle" as const), internal });
  return { a: end(row.src_ip, row.src_internal), b: end(row.dst_ip, row.dst_internal) };
}

/** The name without its first label; a name of two labels is its own parent. */
export function parentOf(name: string): string {
  const labels = name.split(".");
  return labels.length > 2 ? labels.slice(1).join(".") : name;
}

function dnsPairs(rows: readonly DnsRow[]): (row: DnsRow) => Pair {
  const names = new Map<string, Set<string>>();
  for (const row of rows) {
    const key = `${row.client_ip} ${parentOf(row.qname)}`;
    names.set(key, (names.get(key) ?? new Set()).add(row.qname));
  }
  return (row) => {
    const parent = parentOf(row.qname);
    const many = parent !== row.qname && (names.get(`${row.client_ip} ${parent}`)?.size ?? 0) >= MANY;
    return {
      a: { id: row.client_ip, field: "client_ip", shape: "circle", internal: null },
      b: { id: many ? `*.${parent}` : row.qname, field: "qname", shape: "diamond", internal: null },
    };
  };
}

/** The graph of rows, without the nodes in `hidden` and with `neighbours` of those that were expanded. */
export function graphOf(rows: readonly Row[], hidden: ReadonlySet<string>, neighbours: readonly Neighbour[] = []): Graph {
  const nodes: Node[] = [];
  const links: Link[] = [];
  const places = new Map<string, number>();
  const pairs = new Map<string, Link>();
  const place = (end: Pair["a"], added: boolean): number => {
    const known = places.get(end.id);
    if (known !== undefined) {
      const node = nodes[known];
      if (node && node.internal === null && end.internal !== null) Object.assign(node, end);
      return known;
    }
    nodes.push({ ...end, rows: [], rank: Number.POSITIVE_INFINITY, degree: 0, added });
    places.set(end.id, nodes.length - 1);
    return nodes.length - 1;
  };
  const join = (source: number, target: number, added: boolean): Link => {
    const key = source < target ? `${source} ${target}` : `${target} ${source}`;
    let link = pairs.get(key);
    if (!link) {
      link = { source, target, rows: [], band: "usual", rank: Number.POSITIVE_INFINITY, bits: 0, added };
      pairs.set(key, link);
      links.push(link);
      for (const at of new Set([source, target])) {
        const node = nodes[at];
        if (node) node.degree += 1;
      }
    }
    return link;
  };
  const dns = dnsPairs(rows.filter((row): row is DnsRow => "qname" in row));
  for (const row of rows) {
    const pair = "src_ip" in row ? flowPair(row) : "qname" in row ? dns(row) : undefined;
    if (!pair || hidden.has(pair.a.id) || hidden.has(pair.b.id)) continue;
    const [source, target] = [place(pair.a, false), place(pair.b, false)];
    const link = join(source, target, false);
    const here = band(row.standing.percentile);
    link.rows.push(row.record_id);
    link.rank = Math.min(link.rank, row.standing.rank);
    link.bits = Math.max(link.bits, row.standing.surprise_bits ?? 64);
    if (ORDER[here] > ORDER[link.band]) link.band = here;
    for (const at of new Set([source, target])) {
      const node = nodes[at];
      if (!node) continue;
      node.rows.push(row.record_id);
      node.rank = Math.min(node.rank, row.standing.rank);
    }
  }
  for (const { of, id, internal } of neighbours) {
    const from = places.get(of);
    if (from === undefined || hidden.has(id)) continue;
    const end: Pair["a"] =
      nodes[from]?.field === "ip"
        ? { id, field: "ip", shape: internal ? "diamond" : "circle", internal }
        : nodes[from]?.field === "client_ip"
          ? { id, field: "qname", shape: "diamond", internal: null }
          : { id, field: "client_ip", shape: "circle", internal: null };
    join(from, place(end, true), true);
  }
  return { nodes, links };
}

/** Nodes that hang together with too many others to be read: more than a fifth of all links, and twelve at least. */
export function hubs({ nodes, links }: Graph): string[] {
  return nodes.filter((node) => node.degree >= 12 && node.degree > links.length / 5).map((node) => node.id);
}

/** Radius of a node, px: by its rows, as a square root. */
export const radius = (node: Node): number => (node.added ? 3 : Math.min(14, 3.5 + 1.5 * Math.sqrt(node.rows.length)));
