// Ingest summary: how many records arrived, when, from which sensor; and whether silence was silence.

import { useMemo } from "preact/hooks";
import type { IngestExporter, IngestSpan } from "../../api/types";
import { useAnswer } from "../../api/useAnswer";
import { type At, change, go, route } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { type Shade, TimeChart } from "../../parts/chart/TimeChart";
import { Failed, Loading, Notice } from "../../parts/State";
import { RangePicker } from "../../parts/time/RangePicker";
import { useRange } from "../../parts/time/useRange";
import { SavedViewsMenu } from "../../parts/views/SavedViews";
import { escapeText } from "../../text/hostile";
import { SOURCE_NAMES, SOURCES, type Source } from "../../text/source";
import { duration, minute, stamp } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import "../../parts/chart/chart.css";
import "../../parts/subject/style.css";
import "./style.css";

const TONES = { flow: "s1", dns: "s3", proxy: "s2" } as const;
/** A bucket counts as captured from this share on: an interval's edges leave slivers. */
const CAPTURED = 0.02;

export function Page({ at }: { at: At }) {
  const { range, end, nothing } = useRange(at, 7);
  const sensor = at.params["sensor"] ?? "";
  // `#/ingest/dns`: one source alone.
  const only = SOURCES.find((source) => source === at.path[0]);
  const { value, error, retry, loading } = useAnswer("/api/v1/ingest", range && { from: range.from, to: range.to });
  if (nothing) {
    return (
      <Notice title="The lake has no records yet">
        <p>
          Start with <code>spotter import capture.pcap</code>.
        </p>
      </Notice>
    );
  }
  return (
    <div class="sheet">
      <div class="subject-bar">
        {range ? <RangePicker range={range} end={end} onPick={({ from, to }) => change({ from, to, date: undefined })} /> : null}
        <button type="button" disabled={!at.params["from"]} onClick={() => change({ from: undefined, to: undefined, date: undefined })}>
          Last 7 days
        </button>
        <SavedViewsMenu page="ingest" />
        <span class="quiet" role="status">
          {loading ? "counting …" : value ? `${count(value.series.reduce((sum, one) => sum + one.total, 0))} records, per ${duration(value.step)}` : ""}
        </span>
      </div>
      {error ? <Failed error={error} retry={retry} /> : value ? <Summary found={value} sensor={sensor} only={only} /> : <Loading what="the counts" />}
    </div>
  );
}

function Summary({ found, sensor, only }: { found: IngestSpan; sensor: string; only: Source | undefined }) {
  const sensors = [...new Set([...found.series.map((one) => one.sensor), ...found.coverage.map((one) => one.sensor)])].toSorted();
  const shown = found.series.filter((one) => sensor === "" || one.sensor === sensor);
  const all = SOURCES.map((source) => {
    const values = new Array<number>(found.buckets).fill(0);
    for (const one of shown) if (one.source === source) one.values.forEach((value, index) => (values[index] = (values[index] ?? 0) + value));
    return { label: SOURCE_NAMES[source], tone: TONES[source], values, source };
  }).filter((one) => one.values.some((value) => value > 0));
  const series = only ? all.filter((one) => one.source === only) : all;
  // Whether a gap is silence is a matter of all sources: what has no DNS may have flows.
  const total = useMemo(() => new Array<number>(found.buckets).fill(0).map((_, index) => all.reduce((sum, one) => sum + (one.values[index] ?? 0), 0)), [found, sensor]);
  const shades = shadesOf(found, sensor, total);
  const at = (index: number) => minute(stamp(new Date((found.start + index * found.step) * 1000)));
  return (
    <>
      <div class="tabs" role="group" aria-label="Source">
        {([undefined, ...SOURCES] as const).map((source) => (
          <button key={source} type="button" class="small" aria-pressed={source === only} onClick={() => go({ page: "ingest", path: source ? [source] : [], params: route.value.params })}>
            {source ? SOURCE_NAMES[source] : "All sources"}
          </button>
        ))}
      </div>
      {sensors.length > 1 ? (
        <div class="tabs" role="group" aria-label="Sensor">
          <button type="button" class="small" aria-pressed={sensor === ""} onClick={() => change({ sensor: undefined })}>
            All sensors
          </button>
          {sensors.map((name) => (
            <button key={name} type="button" class="small" aria-pressed={sensor === name} onClick={() => change({ sensor: name })}>
              {escapeText(name, 60)}
            </button>
          ))}
        </div>
      ) : null}
      <Chart
        title={`Records per ${duration(found.step)}`}
        id="records"
        summary={`Records that arrived, by source. ${series.map((one) => `${one.label} ${count(one.values.reduce((sum, value) => sum + value, 0))}`).join(", ")}. ${shades.length} stretches are marked.`}
        twin={{
          columns: ["Time", ...series.map((one) => one.label), "State"],
          rows: total.map((sum, index) => [at(index), ...series.map((one) => one.values[index] ?? 0), stateOf(shades, index, sum)]),
        }}
      >
        <TimeChart
          start={found.start}
          step={found.step}
          height={280}
          series={series}
          shades={shades}
          format={(value) => (value >= 10_000 ? `${count(Math.round(value / 1000))} k` : count(value))}
          onZoom={(from, to) => change({ from: stamp(new Date(from * 1000)), to: stamp(new Date(to * 1000)), date: undefined })}
          onZoomOut={() => history.back()}
        />
      </Chart>
      <p class="quiet">Drag over the chart to zoom in, press twice to go back. At a finer zoom the steps are minutes.</p>
      <Sensors found={found} />
      {found.exporters.length > 0 ? <Exporters exporters={found.exporters} /> : null}
      <Gaps found={found} shades={shades} />
    </>
  );
}

/** What is said of a bucket: who reads the table needs it in words. */
function stateOf(shades: readonly Shade[], index: number, total: number): string {
  const shade = shades.find((one) => index >= one.from && index < one.to);
  return shade ? shade.label : total > 0 ? "captured" : "no traffic";
}

/** Stretches that were not captured, lost packets, or were captured and silent. */
function shadesOf(found: IngestSpan, sensor: string, total: readonly number[]): Shade[] {
  const coverage = found.coverage.filter((one) => sensor === "" || one.sensor === sensor);
  // Without a ledger nothing can be said of a gap.
  if (coverage.length === 0) return [];
  const kind = (index: number): "missing" | "lost" | "quiet-traffic" | "" => {
    if (coverage.some((one) => (one.lost[index] ?? 0) > 0)) return "lost";
    const covered = coverage.some((one) => (one.covered[index] ?? 0) >= CAPTURED);
    if ((total[index] ?? 0) > 0) return "";
    return covered ? "quiet-traffic" : "missing";
  };
  const labels = { missing: "not captured", lost: "packets lost", "quiet-traffic": "no traffic" };
  const shades: Shade[] = [];
  for (let index = 0; index < found.buckets; index += 1) {
    const now = kind(index);
    if (now === "") continue;
    const last = shades.at(-1);
    if (last && last.to === index && last.class === now) last.to = index + 1;
    else shades.push({ from: index, to: index + 1, class: now, label: labels[now] });
  }
  return shades;
}

function Sensors({ found }: { found: IngestSpan }) {
  const names = [...new Set(found.series.map((one) => one.sensor))].toSorted();
  return (
    <section class="panel-box scroll-x" aria-labelledby="sensors">
      <h2 id="sensors">By sensor</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Sensor</th>
            {SOURCES.map((source) => (
              <th key={source} scope="col" class="end">
                {SOURCE_NAMES[source]}
              </th>
            ))}
            <th scope="col" class="end">Captured</th>
            <th scope="col" class="end">Packets lost</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => {
            const coverage = found.coverage.find((one) => one.sensor === name);
            const captured = coverage ? coverage.covered.reduce((sum, share) => sum + share, 0) * found.step : undefined;
            return (
              <tr key={name}>
                <th scope="row">
                  <Wire text={name} limit={80} />
                </th>
                {SOURCES.map((source) => (
                  <td key={source} class="end num">
                    {count(found.series.find((one) => one.sensor === name && one.source === source)?.total ?? 0)}
                  </td>
                ))}
                <td class="end num">{captured === undefined ? "no ledger" : duration(captured)}</td>
                <td class="end num">{coverage ? count(coverage.lost.reduce((sum, value) => sum + value, 0)) : "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

/** What collectors count of each exporter, over the whole of the time shown. */
function Exporters({ exporters }: { exporters: readonly IngestExporter[] }) {
  return (
    <section class="panel-box scroll-x" aria-labelledby="exporters">
      <h2 id="exporters">By exporter</h2>
      <table class="plain">
        <thead>
          <tr>
            {["Exporter", "Flows", "Messages", "Lost by its numbers", "Lag"].map((name, at) => (
              <th key={name} scope="col" class={at > 0 ? "end" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {exporters.map((one) => (
            <tr key={one.sensor + one.exporter}>
              <th scope="row">
                <Wire text={one.exporter} />
              </th>
              <td class="end num">{count(one.flows)}</td>
              <td class="end num">{count(one.messages)}</td>
              <td class="end num">{one.lost > 0 ? `${count(one.lost)} ${one.lost_unit}` : "none"}</td>
              <td class="end num">{one.lag_seconds === null ? "–" : duration(one.lag_seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Gaps({ found, shades }: { found: IngestSpan; shades: readonly Shade[] }) {
  if (found.coverage.length === 0) return <p class="quiet">There is no ledger for this time: whether a gap is silence or was not captured cannot be told.</p>;
  const at = (index: number) => minute(stamp(new Date((found.start + index * found.step) * 1000)));
  const longest = shades.toSorted((a, b) => b.to - b.from - (a.to - a.from)).slice(0, 50);
  return (
    <section class="panel-box scroll-x" aria-labelledby="gaps">
      <h2 id="gaps">Gaps</h2>
      {longest.length === 0 ? (
        <p class="body quiet">None: every step has records and nothing was lost.</p>
      ) : (
        <div class="tall" tabIndex={0} role="group" aria-label="Gaps, rows">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" class="end">Length</th>
                <th scope="col">What it was</th>
              </tr>
            </thead>
            <tbody>
              {longest.map((shade) => (
                <tr key={`${shade.from} ${shade.class}`}>
                  <td class="num">{at(shade.from)}</td>
                  <td class="num">{at(shade.to)}</td>
                  <td class="end num">{duration((shade.to - shade.from) * found.step)}</td>
                  <td>{shade.label}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
