// What stands in the cells of tables: the same value looks the same everywhere.

import { shownZone } from "../app/settings";
import { Domain } from "../text/Domain";
import { escapeText } from "../text/hostile";
import { both, clock, dated, minute } from "../text/time";
import { bytes, count } from "../text/units";
import type { Known } from "../api/types";
import { Marks } from "./known";
import { Value } from "./value/Value";

export const None = ({ title }: { title?: string }) => (
  <span class="none" title={title}>
    –
  </span>
);

/** Text of the field, from the wire. */
export function Text({ text, field }: { text: string | null; field: string }) {
  return <Value field={field} value={text} />;
}

/** A domain name or a host, what it spells beside it. */
export function Name({ name, field, known }: { name: string | null; field: string; known?: readonly Known[] }) {
  if (name === null || name === "") return <None />;
  return (
    <Value field={field} value={name} kind="name">
      <Domain name={name} limit={300} />
      {known ? <Marks known={known} field={field} /> : null}
    </Value>
  );
}

/** Characters at the end of a long address that are always shown. */
const TAIL = 7;

export function Address({ ip, internal, field, known }: { ip: string | null; internal?: boolean | null; field: string; known?: readonly Known[] }) {
  if (ip === null || ip === "") return <None />;
  return (
    <Value field={field} value={ip} kind="ip" title={internal ? `${escapeText(ip)} (internal)` : escapeText(ip)}>
      {ip.length > 15 ? (
        // Hosts of a network differ at the end, so it is the middle that gives way.
        <span class="mono halves">
          <span>{escapeText(ip.slice(0, -TAIL))}</span>
          <span>{escapeText(ip.slice(-TAIL))}</span>
        </span>
      ) : (
        <span class="mono">{escapeText(ip)}</span>
      )}
      {internal ? <span class="inside" role="img" aria-label="internal" /> : null}
      {known ? <Marks known={known} field={field} /> : null}
    </Value>
  );
}

export function Amount({ value }: { value: number | null }) {
  return value === null ? <None title="not observed" /> : <>{count(value)}</>;
}

export function Bytes({ value }: { value: number | null }) {
  if (value === null) return <None title="not observed" />;
  return <span title={`${count(value)} bytes`}>{bytes(value)}</span>;
}

/**
 * The time of day, for tables of one day; all of it, in both zones, in the tooltip. `date`: day and minute with the zone;
 * `"seconds"`: day and time to the millisecond, for tables whose head says the zone.
 */
export function Time({ time, date }: { time: string; date?: boolean | "seconds" }) {
  // Read here, so that a switch of the zone draws it anew.
  void shownZone.value;
  return (
    <time class="num" dateTime={time} title={both(time)}>
      {date === "seconds" ? dated(time) : date ? minute(time) : clock(time)}
    </time>
  );
}
