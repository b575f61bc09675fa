// All that is known of a value, in its menu: what files say, the names DNS and DHCP gave it, who talks to it.

import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { ValueContext } from "../../api/types";
import { minute } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { reputationText } from "../known";

const counted = (number: number, what: string) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

/** Apache Spot's text of a place, `REGION;CITY OWNER` where parts may be missing, and the country. */
function placed({ geo, country }: ValueContext): string | null {
  const parts = [...(geo ?? "").split(";"), country ?? ""].map((part) => part.trim());
  return parts.filter((part) => part !== "").join(", ") || null;
}

export function KnownOf({ value }: { value: string }) {
  const [known, setKnown] = useState<ValueContext | null>();
  useEffect(() => {
    const abort = new AbortController();
    get("/api/v1/context/{value}", { value }, abort.signal).then(setKnown, () => !abort.signal.aborted && setKnown(null));
    return () => abort.abort();
  }, [value]);
  if (known === null) return null;
  if (known === undefined) return <p class="known-of quiet">…</p>;
  const { hosts, records, first_seen } = known.prevalence;
  const lines: [string, string | null][] = [
    ["Reputation", known.reputation === null ? null : `${reputationText(known.reputation)}, ${known.reputation_source ?? ""}`],
    ["Place", placed(known)],
    ["Network", known.network_context ?? known.internal_name ?? (known.internal ? "internal" : null)],
    ["Popularity", known.popularity === null ? null : `${count(known.popularity)}.`],
    ["Names", known.names.length > 0 ? known.names.slice(0, 4).map((one) => `${one.name} (${one.source === "dhcp" ? "DHCP" : "DNS"})`).join(", ") : null],
    ["Talk to it", records > 0 ? `${counted(hosts, "host")}, ${counted(records, "record")} in 30 days${first_seen ? `, since ${minute(first_seen)}` : ""}` : null],
  ];
  return (
    <dl class="known-of">
      {lines.map(([label, text]) =>
        text === null ? null : (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <Wire text={text} limit={300} />
            </dd>
          </div>
        ),
      )}
    </dl>
  );
}
