// Live: traffic per second as it is captured, who sends it, what is asked for, what is lost; and the bytes and packets per
// day of any host or network.

import { useEffect, useState } from "preact/hooks";
import { useParam } from "../../app/param";
import type { At } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { type Series, TimeChart } from "../../parts/chart/TimeChart";
import { Notice } from "../../parts/State";
import { entityHref } from "../../parts/subject/links";
import { lastRange, type Range } from "../../parts/time/RangePicker";
import { SavedViewsMenu } from "../../parts/views/SavedViews";
import { escapeText } from "../../text/hostile";
import { minute, stamp } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Days } from "./Days";
import { type Feed, openFeed, type Point, type Traffic } from "./feed";
import "../../parts/chart/chart.css";
import "../../parts/subject/style.css";
import "../investigate/style.css";
import "./style.css";

const STATES = { connecting: "connecting …", open: "live", events: "live, by server-sent events", lost: "connection lost, trying again …" };
/** Seconds that are shown. */
const SHOWN = 300;
const WAYS = [
  ["incoming", "in", "s1"],
  ["outgoing", "out", "s2"],
  ["internal", "internal", "s3"],
  ["external", "external", "s6"],
] as const;

export function Page({ at }: { at: At }) {
  const [feed, setFeed] = useState<Feed>();
  useEffect(() => {
    const opened = openFeed();
    setFeed(opened);
    return () => opened.close();
  }, []);
  return (
    <div class="sheet">
      {feed ? <Now feed={feed} /> : null}
      <Days at={at} />
    </div>
  );
}

function Now({ feed }: { feed: Feed }) {
  const [unit, setUnit] = useParam("unit", ["bytes", "packets"]);
  const all = merge(feed.points.value);
  const sources = [...feed.latest.value.values()];
  const drops = new Map<string, { packets: number; total: number }>();
  for (const source of sources) {
    for (const { cause, packets, total } of source.drops) {
      const before = drops.get(cause);
      drops.set(cause, { packets: (before?.packets ?? 0) + packets, total: (before?.total ?? 0) + total });
    }
  }
  const last = all.at(-1);
  const bits = (volume: number) => `${bytes(volume * 8).replace(/B$/, "bit")}/s`;
  const rate = (volume: number) => (unit === "bytes" ? bits(volume) : `${count(Math.round(volume))} pps`);
  return (
    <>
      <div class="subject-bar">
        <span class={`pill ${feed.state.value === "open" || feed.state.value === "events" ? "solid" : "weak"}`} role="status">
          {STATES[feed.state.value]}
        </span>
        {sources.map((source) => (
          <span key={source.source} class="quiet">
            <Wire text={source.source} limit={60} class="mono" /> {source.kind === "import" ? "(reading a file)" : ""}
          </span>
        ))}
        {feed.missed.value > 0 ? <span class="pill weak">{count(feed.missed.value)} messages missed by this page</span> : null}
        <span class="spacer" />
        <div class="tabs" role="group" aria-label="Unit">
          {(["bytes", "packets"] as const).map((name) => (
            <button key={name} type="button" class="small" aria-pressed={unit === name} onClick={() => setUnit(name)}>
              {name === "bytes" ? "Bits" : "Packets"}
            </button>
          ))}
        </div>
        <SavedViewsMenu page="live" />
      </div>
      {all.length === 0 ? (
        <Notice title="Nothing is captured right now">
          <p>
            Start <code>spotter capture --interface IF --lake DIR</code> or <code>spotter run</code> over the same lake: its traffic appears here, second by second.
          </p>
        </Notice>
      ) : (
        <>
          <dl class="facts live-facts">
            {WAYS.map(([way, label, tone]) => (
              <div key={way}>
                <dt>
                  <i class={`swatch ${tone}`} /> {label}
                </dt>
                <dd>
                  <strong class="num">{rate(last?.traffic[way][unit] ?? 0)}</strong>
                </dd>
              </div>
            ))}
            <div>
              <dt>Packets lost</dt>
              <dd>
                <strong class={`num ${[...drops.values()].some((drop) => drop.total > 0) ? "way-in" : ""}`}>{count([...drops.values()].reduce((sum, drop) => sum + drop.total, 0))}</strong>
                <span class="quiet">{[...drops].filter(([, drop]) => drop.total > 0).map(([cause, drop]) => `${cause} ${count(drop.total)}`).join(", ") || "none since the sources began"}</span>
              </dd>
            </div>
          </dl>
          <Seconds points={all} unit={unit} rate={rate} />
          <div class="facets">
            <Talkers feed={feed} unit={unit} />
            <Names feed={feed} />
            <Ledger feed={feed} />
          </div>
        </>
      )}
    </>
  );
}

/** All sources together, second by second. */
function merge(points: ReadonlyMap<string, readonly Point[]>): Point[] {
  const by = new Map<number, Point>();
  const plus = (a: Traffic, b: Traffic): Traffic => {
    const add = (way: keyof Traffic) => ({ packets: a[way].packets + b[way].packets, bytes: a[way].bytes + b[way].bytes });
    return { wire: add("wire"), incoming: add("incoming"), outgoing: add("outgoing"), internal: add("internal"), external: add("external") };
  };
  for (const list of points.values()) {
    for (const point of list) {
      const before = by.get(point.at);
      by.set(point.at, before ? { at: point.at, traffic: plus(before.traffic, point.traffic), dropped: before.dropped + point.dropped } : point);
    }
  }
  return [...by.values()].toSorted((a, b) => a.at - b.at);
}

function Seconds({ points, unit, rate }: { points: readonly Point[]; unit: "bytes" | "packets"; rate: (value: number) => string }) {
  const end = points.at(-1)?.at ?? 0;
  const start = end - SHOWN + 1;
  const at = new Map(points.map((point) => [point.at, point]));
  const series: Series[] = WAYS.map(([way, label, tone]) => ({
    label,
    tone,
    below: way === "outgoing",
    values: Array.from({ length: SHOWN }, (_, index) => at.get(start + index)?.traffic[way][unit] ?? 0),
  }));
  const shades = Array.from({ length: SHOWN }, (_, index) => index)
    .filter((index) => (at.get(start + index)?.dropped ?? 0) > 0)
    .map((index) => ({ from: index, to: index + 1, class: "lost", label: `packets lost: ${count(at.get(start + index)?.dropped ?? 0)}` }));
  return (
    <Chart
      class="live-chart"
      title={`${unit === "bytes" ? "Bits" : "Packets"} per second, last 5 minutes`}
      id="per-second"
      summary={`Traffic per second: ${series.map((one) => `${one.label} ${rate(one.values.at(-1) ?? 0)}`).join(", ")}.`}
      twin={{
        columns: ["Time", ...WAYS.map(([, label]) => `${label}, ${unit}`), "Packets lost"],
        rows: points.slice(-SHOWN).toReversed().map((point) => [stamp(new Date(point.at * 1000)), ...WAYS.map(([way]) => point.traffic[way][unit]), point.dropped]),
      }}
    >
      <TimeChart start={start} step={1} series={series} shades={shades} kind="lines" height={220} format={rate} />
    </Chart>
  );
}

function here(): Range {
  return lastRange(new Date(), 86_400_000);
}

function Talkers({ feed, unit }: { feed: Feed; unit: "bytes" | "packets" }) {
  const hosts = [...feed.hosts.value.values()].toSorted((a, b) => b.sent[unit] + b.received[unit] - a.sent[unit] - a.received[unit]).slice(0, 15);
  const most = Math.max(1, ...hosts.map((host) => host.sent[unit] + host.received[unit]));
  const shown = (value: number) => (unit === "bytes" ? bytes(value) : count(value));
  return (
    <section class="panel-box facet live-talkers" aria-label="Top talkers">
      <h3>Top talkers since this page was opened</h3>
      <div class="facet-rows" tabIndex={0} role="group" aria-label="Top talkers, rows">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col" class="end">In</th>
              <th scope="col" class="end">Out</th>
            </tr>
          </thead>
          <tbody>
            {hosts.map((host) => (
              <tr key={host.ip}>
                <td class="facet-value">
                  <span class="share" style={{ width: `${(100 * (host.sent[unit] + host.received[unit])) / most}%` }} />
                  <a class="mono" href={entityHref(host.ip, here())}>
                    {escapeText(host.ip)}
                  </a>
                  {host.home ? <span class="quiet facet-detail">ours</span> : null}
                </td>
                <td class="end num">{shown(host.received[unit])}</td>
                <td class="end num">{shown(host.sent[unit])}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Names({ feed }: { feed: Feed }) {
  const names = [...feed.names.value].toSorted((a, b) => b[1].count - a[1].count).slice(0, 15);
  const most = Math.max(1, ...names.map(([, name]) => name.count));
  return (
    <section class="panel-box facet" aria-label="Top names">
      <h3>Top names since this page was opened</h3>
      <div class="facet-rows" tabIndex={0} role="group" aria-label="Top names, rows">
        <table class="plain">
          <tbody>
            {names.map(([name, { kind, count: many }]) => (
              <tr key={name}>
                <td class="facet-value">
                  <span class="share" style={{ width: `${(100 * many) / most}%` }} />
                  <a href={entityHref(name, here())}>
                    <Wire text={name} limit={80} class="mono" />
                  </a>
                  <span class="quiet facet-detail">{kind}</span>
                </td>
                <td class="end num">{count(many)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Ledger({ feed }: { feed: Feed }) {
  const terms = new Map<string, number>();
  for (const second of feed.latest.value.values()) for (const [name, value] of Object.entries(second.ledger)) terms.set(name, (terms.get(name) ?? 0) + value);
  const at = [...feed.latest.value.values()].map((second) => second.at).toSorted().at(-1);
  return (
    <section class="panel-box facet" aria-label="Ledger">
      <h3>Ledger, packets {at ? <span class="quiet">{minute(at)}</span> : null}</h3>
      <div class="facet-rows" tabIndex={0} role="group" aria-label="Ledger, rows">
        <table class="plain">
          <tbody>
            {[...terms].map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name.replaceAll("_", " ")}</th>
                <td class="end num">{count(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
