// How long things are kept and what goes next; and how late the records of each sensor come in.

import type { Arrival, ExporterStatus, Keeping, Status } from "../../api/types";
import { duration, minute } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";

export function Kept({ status: { keeping, arrivals, exporters } }: { status: Status }) {
  return (
    <>
      <section aria-labelledby="kept">
        <h2 id="kept">Retention</h2>
        <dl class="kept">
          {lines(keeping).map(([name, text]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="num">{text}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section aria-labelledby="arrivals">
        <h2 id="arrivals">Ingest by source</h2>
        <p class="quiet">The latest record of each sensor, and how long after it happened it was in the lake: of live traffic a few seconds, of an imported file its age.</p>
        <Arrivals arrivals={arrivals} />
      </section>
      {exporters.length > 0 ? <Exporters exporters={exporters} /> : null}
    </>
  );
}

function lines({ retention, oldest, bytes: size, bytes_of_a_day: day, days_left: left }: Keeping): [string, string][] {
  const age = retention?.max_age_seconds ?? null;
  const most = retention?.max_bytes ?? null;
  const limits = [...(age === null ? [] : [`hours that ended less than ${long(age)} ago`]), ...(most === null ? [] : [`at most ${bytes(most)}, the oldest hours go first`])];
  const out: [string, string][] = [
    ["What is kept", !retention ? "everything: no spotter run keeps this lake" : limits.length ? `${limits.join("; ")}. The ledger is kept ten times as long` : "everything: neither an age nor a size is set"],
    ["Oldest hour", oldest ? `${minute(oldest.from)}: ${count(oldest.rows)} rows, ${bytes(oldest.bytes)}` : "nothing yet"],
  ];
  if (retention) {
    const bySize = most !== null && size > most;
    out.push(["Goes next", !oldest ? "nothing" : bySize ? "the oldest hour, at the next look: the lake is larger than it may be" : retention.next ? `the oldest hour, from ${minute(retention.next)} on` : "nothing before the lake is full"]);
    out.push(["Looked last", minute(retention.looked)]);
  }
  if (day !== null) out.push(["A day's records", `${bytes(day)}${left === null ? "" : `, so there is room for about ${count(Math.floor(left))} days more`}`]);
  return out;
}

const long = (seconds: number) => (seconds >= 172_800 ? `${count(Math.floor(seconds / 86_400))} days` : duration(seconds));

function Arrivals({ arrivals }: { arrivals: readonly Arrival[] }) {
  if (arrivals.length === 0) return <p>There are no records yet.</p>;
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Sensor</th>
          <th scope="col">Records</th>
          <th scope="col" class="end">
            Rows
          </th>
          <th scope="col">Latest</th>
          <th scope="col" class="end">
            Ago
          </th>
          <th scope="col" class="end">
            Came in after
          </th>
        </tr>
      </thead>
      <tbody>
        {arrivals.map((one) => (
          <tr key={`${one.sensor} ${one.source}`}>
            <th scope="row">
              <Wire text={one.sensor} limit={64} />
            </th>
            <td>{one.source}</td>
            <td class="end num">{count(one.rows)}</td>
            <td class="num">{minute(one.last)}</td>
            <td class="end num">{one.age_seconds < 0 ? "in the future" : long(one.age_seconds)}</td>
            <td class="end num">{one.lag_seconds === null ? "merged since" : long(Math.max(0, one.lag_seconds))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Exporters({ exporters }: { exporters: readonly ExporterStatus[] }) {
  const end = (name: string) => (
    <th scope="col" class="end">
      {name}
    </th>
  );
  return (
    <section aria-labelledby="exporters">
      <h2 id="exporters">Exporters</h2>
      <p class="quiet">Since each is known. The lag is from a flow's end, by the exporter's clock, to its arrival: mean and longest of the last interval, the exporter's own timeouts included.</p>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Exporter</th>
            {["Last message", "Lag", "Longest", "Flows", "Lost by its numbers", "Wrong clock"].map(end)}
          </tr>
        </thead>
        <tbody>
          {exporters.map((one) => (
            <tr key={`${one.collector} ${one.protocol} ${one.address} ${one.domain}`}>
              <th scope="row">
                <Wire text={`${one.protocol} ${one.address} ${one.domain}`} />
              </th>
              <td class="end num">{`${long(Math.max(0, one.age_seconds))} ago`}</td>
              <td class="end num">{lag(one.lag_seconds)}</td>
              <td class="end num">{lag(one.lag_longest_seconds)}</td>
              <td class="end num">{count(one.flows)}</td>
              <td class="end num">{one.lost > 0 ? <strong>{`${count(one.lost)} ${one.lost_unit}`}</strong> : "none"}</td>
              <td class="end num">{count(one.clock_ahead + one.clock_behind)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const lag = (seconds: number | null): string => (seconds === null ? "–" : long(seconds));
