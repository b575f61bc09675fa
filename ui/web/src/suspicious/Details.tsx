// The panel below the table: what is selected, why it is there, and the raw records around it.

import { useState } from "preact/hooks";
import { change, type Source } from "../app/route";
import { Wire } from "../text/Wire";
import { exact } from "../text/time";
import { Explanation } from "./Explanation";
import type { Row } from "./list";
import { AllColumns, RawRecords } from "./Raw";

interface Value {
  label: string;
  text: string;
}

/** What a record is about, to filter by. */
function pivots(source: Source, row: Row): Value[] {
  if ("src_ip" in row) {
    return [
      { label: "source", text: row.src_ip },
      { label: "destination", text: row.dst_ip },
    ];
  }
  const client = { label: "client", text: row.client_ip };
  if (source === "dns" && "qname" in row) return [client, { label: "name", text: row.qname }];
  return "host" in row ? [client, { label: "host", text: row.host }] : [client];
}

export function Details({ source, row, onClose }: { source: Source; row: Row; onClose: () => void }) {
  const [tab, setTab] = useState<"raw" | "all">("raw");
  return (
    <aside class="details" aria-label="Selected record">
      <header>
        <h2>
          Rank {row.standing.rank} <span class="quiet">{exact(row.first_seen)}</span>
        </h2>
        {pivots(source, row).map((value) => (
          <button
            key={value.label}
            type="button"
            class="pivot"
            title={`Show only records with this ${value.label}`}
            onClick={() => change({ filter: value.text })}
          >
            {value.label} <Wire text={value.text} limit={60} class="mono" />
          </button>
        ))}
        <span class="spacer" />
        <button type="button" class="step" aria-label="Close the details" title="Esc" onClick={onClose}>
          ×
        </button>
      </header>
      <div class="details-body">
        <Explanation row={row} />
        <section class="raw" aria-label="Raw records">
          <div class="tabs" role="tablist">
            <button type="button" role="tab" aria-selected={tab === "raw"} onClick={() => setTab("raw")}>
              Raw records around it
            </button>
            <button type="button" role="tab" aria-selected={tab === "all"} onClick={() => setTab("all")}>
              All columns
            </button>
          </div>
          <div class="tab-body" role="tabpanel">
            {tab === "raw" ? <RawRecords source={source} row={row} /> : <AllColumns source={source} row={row} />}
          </div>
        </section>
      </div>
    </aside>
  );
}
