// Apache Spot's expanded search: one row for each pair of addresses and ports. Loaded when it is asked for.

import { useAnswer } from "../../api/useAnswer";
import { useParam } from "../../app/param";
import { Bytes, Time } from "../../parts/cells";
import { ExportMenu } from "../../parts/ExportMenu";
import { exportHref } from "../../parts/subject/links";
import { Host } from "../../parts/subject/Pivots";
import { Failed } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { port, protocol } from "../../text/names";
import { bytes, count } from "../../text/units";

const SORTS = [
  ["connections", "Connections"],
  ["bytes", "Bytes"],
  ["first_seen", "First seen"],
] as const;

export function Connections({ subject, range }: { subject: string; range: Range }) {
  const [sort, setSort] = useParam("pairs", ["", "connections", "bytes", "first_seen"]);
  const open = sort !== "";
  const { value, error, loading, retry } = useAnswer("/api/v1/investigation/connections", open ? { subject, from: range.from, to: range.to, sort } : undefined);
  return (
    <section class="panel-box scroll-x" aria-labelledby="connections">
      <header>
        <h2 id="connections">Connections</h2>
        <span class="quiet">by both addresses and ports</span>
        <span class="spacer" />
        <button type="button" class="small" aria-expanded={open} onClick={() => setSort(open ? "" : "connections")}>
          {open ? "Close" : "Show"}
        </button>
        {open ? (
          <div class="tabs" role="group" aria-label="Order">
            {SORTS.map(([name, label]) => (
              <button key={name} type="button" class="small" aria-pressed={sort === name} onClick={() => setSort(name)}>
                {label}
              </button>
            ))}
          </div>
        ) : null}
        <ExportMenu label="Export the flows" to={(format) => exportHref("flow", format, subject, range)} />
      </header>
      {!open ? null : error ? (
        <Failed error={error} retry={retry} />
      ) : loading || !value ? (
        <p class="loading" role="status">
          Grouping …
        </p>
      ) : (
        <div class="tall" tabIndex={0} role="group" aria-label="Connections, rows">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">First seen</th>
                <th scope="col">Last seen</th>
                <th scope="col">Source IP</th>
                <th scope="col" class="end">Source port</th>
                <th scope="col">Destination IP</th>
                <th scope="col" class="end">Destination port</th>
                <th scope="col">Protocol</th>
                <th scope="col" class="end">Connections</th>
                <th scope="col" class="end">Max packets</th>
                <th scope="col" class="end">Avg packets</th>
                <th scope="col" class="end">Max bytes</th>
                <th scope="col" class="end">Avg bytes</th>
              </tr>
            </thead>
            <tbody>
              {value.rows.map((row) => (
                <tr key={`${row.src_ip} ${row.src_port} ${row.dst_ip} ${row.dst_port} ${row.proto}`}>
                  <td class="num"><Time time={row.first_seen} date /></td>
                  <td class="num"><Time time={row.last_seen} date /></td>
                  <td><Host ip={row.src_ip} field="src_ip" range={range} /></td>
                  <td class="end num">{port(row.src_port, row.proto, "src")}</td>
                  <td><Host ip={row.dst_ip} field="dst_ip" range={range} /></td>
                  <td class="end num">{port(row.dst_port, row.proto, "dst")}</td>
                  <td>{protocol(row.proto)}</td>
                  <td class="end num">{count(row.connections)}</td>
                  <td class="end num">{count(row.max_packets)}</td>
                  <td class="end num">{row.avg_packets.toFixed(1)}</td>
                  <td class="end num"><Bytes value={row.max_bytes} /></td>
                  <td class="end num">{bytes(Math.round(row.avg_bytes))}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {value.more ? <p class="quiet facet-more">These lead; the export has all records.</p> : null}
        </div>
      )}
    </section>
  );
}
