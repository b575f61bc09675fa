// Values of the pages about one thing: each leads on, and its menu adds it to the query that says which records, or scores it.

import { useState } from "preact/hooks";
import type { Matcher } from "../../api/types";
import { type At, format, go } from "../../app/route";
import { escapeText } from "../../text/hostile";
import type { Source } from "../../text/source";
import { startOf } from "../feedback/start";
import { later } from "../later";
import type { Range } from "../time/RangePicker";
import { useFilterTarget } from "../value/target";
import { Value } from "../value/Value";
import { entityHref } from "./links";

const ScoreDialog = later(() => import("../../pages/suspicious/ScoreDialog").then((code) => code.ScoreDialog), "the form");

/** An address of a list. `field`: what it is in a query. */
export function Host({ ip, field = "ip", range }: { ip: string; field?: string; range: Range }) {
  return (
    <Value field={field} value={ip} kind="ip">
      <a class="mono" href={entityHref(ip, range)}>
        {escapeText(ip)}
      </a>
    </Value>
  );
}

/** Which records a value stands in that is scored by itself. */
const SOURCE_OF: Record<string, Source> = { qname: "dns", host: "proxy", uri: "proxy", agent: "proxy" };

/** What the menu of values does on a page: `query` is the one they are added to, `to` the page that shows it. */
export function Pivots({ query, to, range }: { query: string; to: (query: string) => At; range: Range }) {
  const [scoring, setScoring] = useState<{ source: Source; start: Partial<Matcher> }>();
  useFilterTarget({
    knows: () => true,
    query,
    apply: (next) => go(to(next)),
    address: (next) => format(to(next)),
    extra: (field, value) => {
      const start = startOf(field, value);
      return start ? [{ label: "Score …", hint: "and see what it touches", run: () => setScoring({ source: SOURCE_OF[field] ?? "flow", start }) }] : [];
    },
  });
  // The day that the span ends on: its last moment is the first one that is outside.
  const date = new Date(Date.parse(range.to) - 1).toISOString().slice(0, 10);
  return scoring ? <ScoreDialog source={scoring.source} date={date} rows={[]} start={scoring.start} grouped={false} onClose={() => setScoring(undefined)} onDone={() => {}} /> : null;
}
