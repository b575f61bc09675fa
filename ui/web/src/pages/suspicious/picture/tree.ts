// Requests as a hierarchy: Root → Method → Host → Path → Client.

import type { ProxyRow } from "../../../api/types";
import { type Band, band } from "../../../text/units";
import type { Row } from "../list";

export type Level = "root" | "method" | "host" | "path" | "client";
export const LEVELS: readonly Level[] = ["root", "method", "host", "path", "client"];

export interface Branch {
  /** The way from the root, in few characters that an address can hold. */
  id: string;
  level: Level;
  name: string;
  /** Field and value of a query, where the level has one. */
  field: string;
  value: string;
  rows: string[];
  rank: number;
  band: Band;
  children: Branch[];
}

const ORDER: Record<Band, number> = { extreme: 3, high: 2, raised: 1, usual: 0 };

function branch(level: Level, id: string, name: string, field: string, value: string): Branch {
  return { id, level, name, field, value, rows: [], rank: Number.POSITIVE_INFINITY, band: "usual", children: [] };
}

/** What follows the host in an address. */
function pathOf(row: ProxyRow): string {
  const after = row.full_uri.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const slash = after.search(/[/?#]/);
  return slash < 0 ? "/" : after.slice(slash);
}

/** The tree of rows; a host that is "-" (the proxy knew none) is skipped, as in Apache Spot. */
export function treeOf(rows: readonly Row[]): Branch {
  const root = branch("root", "", "Requests", "", "");
  for (const row of rows) {
    if (!("full_uri" in row) || row.host === "-") continue;
    const steps: [Level, string, string, string][] = [
      ["method", row.method, "method", row.method],
      ["host", row.host, "host", row.host],
      ["path", pathOf(row), "uri", row.full_uri],
      ["client", row.client_ip, "client_ip", row.client_ip],
    ];
    let at = root;
    add(at, row);
    for (const [level, name, field, value] of steps) {
      const id = short(`${at.id} ${name}`);
      let next = at.children.find((child) => child.id === id);
      if (!next) {
        next = branch(level, id, name, field, value);
        at.children.push(next);
      }
      add(next, row);
      at = next;
    }
  }
  return root;
}

/** 53 bits of a text, base 36: two multiplicative hashes (FNV-1a with two offsets) side by side. */
function short(text: string): string {
  let [a, b] = [0x811c9dc5, 0x27d4eb2f];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  return ((a >>> 0) * 0x200000 + ((b ^ (b >>> 13)) >>> 11)).toString(36);
}

function add(at: Branch, row: ProxyRow): void {
  at.rows.push(row.record_id);
  at.rank = Math.min(at.rank, row.standing.rank);
  const here = band(row.standing.percentile);
  if (ORDER[here] > ORDER[at.band]) at.band = here;
}

/** Ids from the root to the client of a row. */
export function wayTo(root: Branch, record: string): string[] {
  const way: string[] = [];
  let at: Branch | undefined = root;
  while (at?.rows.includes(record)) {
    way.push(at.id);
    at = at.children.find((child) => child.rows.includes(record));
  }
  return way;
}

/** Every id below, and the branch's own. */
export function idsOf(at: Branch): string[] {
  return [at.id, ...at.children.flatMap(idsOf)];
}
