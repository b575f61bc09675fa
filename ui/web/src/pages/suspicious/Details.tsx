// The panel below the table: what is selected, why it is there, and the raw records around it.

import { later } from "../../parts/later";
import { ValueButton } from "../../parts/value/Value";
import type { Source } from "../../text/source";
import { exact } from "../../text/time";
import type { Kind } from "../../parts/value/links";
import { SEVERITIES, type Severity } from "./scoring";
import { Explanation } from "./Explanation";
import type { Row } from "./list";
import { show, type Tab, type View } from "./view";
import { AllColumns, RawRecords } from "./Raw";

const Around = later(() => import("./picture/Around").then((code) => code.Around), "the drawing");

interface Pivot {
  label: string;
  field: string;
  kind: Kind;
  text: string;
}

/** What a record is about. */
function pivots(source: Source, row: Row): Pivot[] {
  if ("src_ip" in row) {
    return [
      { label: "source", field: "src_ip", kind: "ip", text: row.src_ip },
      { label: "destination", field: "dst_ip", kind: "ip", text: row.dst_ip },
    ];
  }
  const client: Pivot = { label: "client", field: "client_ip", kind: "ip", text: row.client_ip };
  if (source === "dns" && "qname" in row) return [client, { label: "name", field: "qname", kind: "name", text: row.qname }];
  return "host" in row ? [client, { label: "host", field: "host", kind: "name", text: row.host }] : [client];
}

interface Props {
  at: View;
  date: string;
  row: Row;
  onClose: () => void;
  onRate: (severity: Severity) => void;
}

export function Details({ at, date, row, onClose, onRate }: Props) {
  const { source, tab } = at;
  const setTab = (next: Tab) => show({ tab: next }, "replace");
  return (
    <aside class="details" aria-label="Selected record">
      <header>
        <h2>
          Rank {row.standing.rank} <span class="quiet">{exact(row.first_seen)}</span>
        </h2>
        {pivots(source, row).map((value) => (
          <ValueButton key={value.field} label={value.label} field={value.field} kind={value.kind} value={value.text} />
        ))}
        <span class="spacer" />
        <span class="rate" role="group" aria-label="Rate this record">
          {([1, 2, 3] as const).map((severity) => (
            <button key={severity} type="button" class={`small s${severity}`} aria-pressed={row.said.severity === severity} onClick={() => onRate(severity)}>
              {severity} {SEVERITIES[severity]}
            </button>
          ))}
        </span>
        <button type="button" class="step" aria-label="Close the details" title="Esc" onClick={onClose}>
          ×
        </button>
      </header>
      <div class="details-body">
        <Explanation source={source} row={row} />
        <section class="raw" aria-label="Raw records">
          <div class="tabs" role="tablist">
            <button type="button" role="tab" aria-selected={tab === "raw"} onClick={() => setTab("raw")}>
              Raw records around it
            </button>
            {source === "proxy" ? null : (
              <button type="button" role="tab" aria-selected={tab === "around"} onClick={() => setTab("around")}>
                {source === "flow" ? "Chord diagram" : "Names of the client"}
              </button>
            )}
            <button type="button" role="tab" aria-selected={tab === "all"} onClick={() => setTab("all")}>
              All columns
            </button>
          </div>
          <div class="tab-body" role="tabpanel">
            {tab === "raw" ? <RawRecords source={source} row={row} /> : tab === "all" ? <AllColumns source={source} row={row} /> : <Around source={source} date={date} host={at.anchor || hostOf(row)} />}
          </div>
        </section>
      </div>
    </aside>
  );
}

/** The judged host of flows, the client of a question. */
const hostOf = (row: Row): string => ("src_ip" in row ? row.why.host : row.client_ip);
