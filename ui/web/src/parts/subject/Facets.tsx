// Top lists: each value leads to the page about it.

import type { Facet } from "../../api/types";
import { escapeText } from "../../text/hostile";
import { SOURCE_NAMES } from "../../text/source";
import { minute } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Value } from "../value/Value";
import type { Range } from "../time/RangePicker";
import { valueHref } from "./links";

/** The field of a query that a list's values are of. */
function fieldOf({ key, value_kind, source }: Facet): string {
  if (value_kind === "address") return "ip";
  if (value_kind === "name") return source === "dns" ? "qname" : source === "proxy" ? "host" : "";
  return value_kind === "uri" ? "uri" : key === "user_agents" ? "agent" : "";
}

export function Facets({ facets, range }: { facets: readonly Facet[]; range: Range }) {
  return (
    <div class="facets">
      {facets.map((facet) => (
        <FacetTable key={facet.key} facet={facet} range={range} />
      ))}
    </div>
  );
}

function FacetTable({ facet, range }: { facet: Facet; range: Range }) {
  const most = Math.max(1, ...facet.rows.map((row) => row.count));
  const field = fieldOf(facet);
  const kind = facet.value_kind === "address" ? "ip" : facet.value_kind === "name" ? "name" : "text";
  const hasBytes = facet.rows.some((row) => row.bytes !== null);
  return (
    <section class="panel-box facet" aria-label={facet.title}>
      <h3>
        {facet.title} <span class="pill">{facet.source ? SOURCE_NAMES[facet.source] : "DHCP"}</span>
      </h3>
      <div class="facet-rows" tabIndex={0} role="group" aria-label={`${facet.title}, rows`}>
        <table class="plain">
          <thead class="sr-only">
            <tr>
              <th scope="col">Value</th>
              <th scope="col">Records</th>
              {hasBytes ? <th scope="col">Bytes</th> : null}
            </tr>
          </thead>
          <tbody>
            {facet.rows.map((row) => {
              const to = valueHref(facet.value_kind, row.value, range);
              const text = <Wire text={row.value} limit={120} class="mono" />;
              const shown = to ? <a href={to}>{text}</a> : text;
              return (
                <tr key={row.value} title={`${escapeText(row.value, 500)}\nfirst ${minute(row.first_seen)}, last ${minute(row.last_seen)}`}>
                  <td class="facet-value">
                    <span class="share" style={{ width: `${(100 * row.count) / most}%` }} />
                    {field ? (
                      <Value field={field} value={row.value} kind={kind}>
                        {shown}
                      </Value>
                    ) : (
                      shown
                    )}
                    {row.detail ? <Wire text={row.detail} limit={40} class="quiet facet-detail" /> : null}
                  </td>
                  <td class="end num">{count(row.count)}</td>
                  {hasBytes ? <td class="end num quiet">{row.bytes === null ? "–" : bytes(row.bytes)}</td> : null}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {facet.more ? <p class="quiet facet-more">and more; these lead</p> : null}
    </section>
  );
}
