// What the editor proposes: keywords, functions, tables, and the columns of the tables that the statement names.

import type { SqlSchema } from "../../api/types";

const KEYWORDS = "SELECT FROM WHERE GROUP BY ORDER LIMIT DISTINCT COUNT SUM AVG MIN MAX CASE WHEN THEN ELSE END AND OR NOT IN BETWEEN LIKE ILIKE IS NULL JOIN LEFT INNER ON USING WITH AS DESC ASC HAVING UNION ALL EXPLAIN ANALYZE DESCRIBE SHOW TABLES OVER PARTITION INTERVAL CAST TRY_CAST".split(" ");
const FUNCTIONS = "in_cidr is_private proto_name tcp_flags unix_seconds spot_time dns_addresses date_trunc date_bin date_part to_timestamp approx_distinct approx_percentile_cont array_length unnest encode decode regexp_like regexp_replace starts_with ends_with strpos substr lower upper length coalesce nullif row_number rank lag lead".split(" ");

/** Proposals at a time. */
const MOST = 12;

export interface Proposal {
  text: string;
  kind: "keyword" | "function" | "table" | "column";
}

/** The word before the caret. */
export function wordAt(text: string, caret: number): string {
  return /[A-Za-z_][A-Za-z0-9_]*$/.exec(text.slice(0, caret))?.[0] ?? "";
}

/** Proposals for the word before the caret, best first; none inside a text in quotes or a comment. */
export function proposals(sql: string, caret: number, schema: SqlSchema | undefined): readonly Proposal[] {
  const word = wordAt(sql, caret).toLowerCase();
  if (word.length === 0) return [];
  const before = sql.slice(0, caret - word.length);
  const bare = before.replace(/'(?:[^']|'')*'/g, "");
  if (bare.includes("'") || /--[^\n]*$/.test(bare)) return [];
  const tables = schema?.tables ?? [];
  const named = tables.filter((table) => new RegExp(`\\b${table.name}\\b`, "i").test(sql));
  const wantsTable = /\b(?:from|join|describe)\s+$/i.test(before);
  const all: Proposal[] = wantsTable
    ? tables.map((table) => ({ text: table.name, kind: "table" }))
    : [
        ...new Set((named.length > 0 ? named : tables).flatMap((table) => table.columns.map((column) => column.name))),
      ].map((text): Proposal => ({ text, kind: "column" }));
  if (!wantsTable) {
    all.push(...tables.map((table): Proposal => ({ text: table.name, kind: "table" })));
    all.push(...FUNCTIONS.map((text): Proposal => ({ text, kind: "function" })));
    all.push(...KEYWORDS.map((text): Proposal => ({ text, kind: "keyword" })));
  }
  return all.filter(({ text }) => text.toLowerCase().startsWith(word) && text.toLowerCase() !== word).slice(0, MOST);
}
