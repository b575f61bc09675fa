// One address or name, everything: what it did in all sources, in the order of time, over any days.

import { useState } from "preact/hooks";
import type { Investigation } from "../../api/types";
import { useAnswer } from "../../api/useAnswer";
import { type At, change, go, href } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { TimeChart } from "../../parts/chart/TimeChart";
import { Facets } from "../../parts/subject/Facets";
import { entityHref, investigateHref, WAYS } from "../../parts/subject/links";
import { Pivots } from "../../parts/subject/Pivots";
import { StoryDialog } from "../../parts/subject/StoryDialog";
import { SubjectBar } from "../../parts/subject/SubjectBar";
import { Failed, Loading, Notice } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { useRange } from "../../parts/time/useRange";
import { escapeText } from "../../text/hostile";
import { minute, stamp } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { TimelineTable } from "./Timeline";
import "../../parts/chart/chart.css";
import "../../parts/subject/style.css";
import "../investigate/style.css";
import "./style.css";

export function Page({ at }: { at: At }) {
  const subject = at.path.join("/");
  const { range, end } = useRange(at);
  // Other days of the same are shown in the same way.
  const ask = (next: string, { from, to }: Range) => go({ page: /^[0-9.]+$|:/.test(next) ? "ip" : "name", path: [next], params: { ...(next === subject ? at.params : {}), from, to, date: "" } });
  return (
    <div class="sheet">
      <SubjectBar subject={subject} range={range} end={end} onAsk={ask}>
        {range && subject ? (
          <>
            <a href={investigateHref(subject, range)}>Investigate</a>
            <a href={href("storyboard", [], { subject, from: range.from, to: range.to })}>Storyboard</a>
          </>
        ) : null}
      </SubjectBar>
      {!range ? <Loading what="the days" /> : !subject ? <Notice title="Which address or name?"><p>Write it above.</p></Notice> : <Entity key={`${subject} ${range.from} ${range.to}`} at={at} subject={subject} range={range} />}
    </div>
  );
}

function Entity({ at, subject, range }: { at: At; subject: string; range: Range }) {
  const answer = useAnswer("/api/v1/investigation", { subject, from: range.from, to: range.to });
  const [story, setStory] = useState(false);
  const found = answer.value;
  return (
    <>
      {answer.error ? <Failed error={answer.error} retry={answer.retry} /> : found ? <Header found={found} range={range} onStory={() => setStory(true)} /> : <Loading what="what is known of it" />}
      {found && found.ways.length > 0 ? <VolumeChart subject={subject} range={range} /> : null}
      <TimelineTable at={at} subject={subject} range={range} />
      {found ? <Facets facets={found.facets} range={range} /> : null}
      <Pivots query={at.params["filter"] ?? ""} to={(filter) => ({ ...at, params: { ...at.params, filter } })} range={range} />
      {story && found ? <StoryDialog subject={found.subject} source={found.kind === "name" ? "dns" : "flow"} range={range} onClose={() => setStory(false)} /> : null}
    </>
  );
}

/** The facets whose first values stand in the header. */
const KNOWN_BY = ["dhcp_names", "resolved_names", "macs", "users", "services_offered", "services_used", "ja4", "user_agents", "dns_addresses"];

function Header({ found, range, onStory }: { found: Investigation; range: Range; onStory: () => void }) {
  const first = found.totals.map((total) => total.first_seen).filter((time) => time !== null).toSorted()[0];
  const last = found.totals.map((total) => total.last_seen).filter((time) => time !== null).toSorted().at(-1);
  const sum = (of: (way: Investigation["ways"][number]) => number) => found.ways.reduce((total, way) => total + of(way), 0);
  return (
    <section class="panel-box entity" aria-label="Summary">
      <header>
        <h2>
          <Wire text={found.subject} limit={200} class="mono" />
        </h2>
        {found.internal === null ? null : <span class="pill">{found.internal ? "inside" : "outside"}</span>}
        <span class="spacer" />
        <button type="button" onClick={onStory}>
          Tell the story …
        </button>
      </header>
      <dl class="body known">
        <div>
          <dt>Seen</dt>
          <dd>{first && last ? `${minute(first)} – ${minute(last)}` : "not in this time"}</dd>
        </div>
        <div>
          <dt>Records</dt>
          <dd>{found.totals.map((total) => `${count(total.records)} ${total.source}`).join(", ")}</dd>
        </div>
        {found.ways.length > 0 ? (
          <>
            <div>
              <dt>Bytes</dt>
              <dd>
                {bytes(sum((way) => way.bytes_in))} in, {bytes(sum((way) => way.bytes_out))} out
              </dd>
            </div>
            <div>
              <dt>Peers</dt>
              <dd>{found.ways.map((way) => `${count(way.peers)} ${WAYS[way.way].toLowerCase()}`).join(", ")}</dd>
            </div>
            <div>
              <dt>Top peers</dt>
              <dd>
                {found.peers.slice(0, 5).map((peer, index) => (
                  <span key={peer.peer}>
                    {index > 0 ? ", " : ""}
                    <a class="mono" href={entityHref(peer.peer, range)}>
                      {escapeText(peer.peer)}
                    </a>
                  </span>
                ))}
              </dd>
            </div>
          </>
        ) : null}
        {KNOWN_BY.flatMap((key) => found.facets.filter((facet) => facet.key === key)).map((facet) => (
          <div key={facet.key}>
            <dt>{facet.title}</dt>
            <dd>
              {facet.rows.slice(0, 3).map((row, index) => (
                <span key={row.value}>
                  {index > 0 ? ", " : ""}
                  <Wire text={row.value} limit={70} class="mono" />
                </span>
              ))}
              {facet.rows.length > 3 ? " …" : ""}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** In above the line, out below it. */
function VolumeChart({ subject, range }: { subject: string; range: Range }) {
  const days = Date.parse(range.to) - Date.parse(range.from) > 2 * 86_400_000;
  const { value, error } = useAnswer("/api/v1/volume", { subject, from: range.from, to: range.to, step: days ? 86_400 : undefined });
  if (error) return <Failed error={error} />;
  if (!value) return null;
  const at = (index: number) => minute(stamp(new Date((value.start + index * value.step) * 1000)));
  return (
    <Chart
      title={days ? "Bytes in and out per day" : "Bytes in and out"}
      id="bytes-in-and-out"
      summary={`Bytes received and sent by ${escapeText(subject, 80)}, in steps of ${value.step} seconds.`}
      twin={{
        columns: ["Time", "Bytes in", "Bytes out", "Packets in", "Packets out", "Connections"],
        rows: value.bytes_in.flatMap((bytesIn, index) => {
          const row = [at(index), bytesIn, value.bytes_out[index] ?? 0, value.packets_in[index] ?? 0, value.packets_out[index] ?? 0, value.connections[index] ?? 0];
          return row.slice(1).some((cell) => cell !== 0) ? [row] : [];
        }),
      }}
    >
      <TimeChart
        start={value.start}
        step={value.step}
        height={170}
        format={bytes}
        series={[
          { label: "in", tone: "s1", values: value.bytes_in },
          { label: "out", tone: "s2", values: value.bytes_out, below: true },
        ]}
        onZoom={(from, to) => change({ from: stamp(new Date(from * 1000)), to: stamp(new Date(to * 1000)), date: undefined })}
        onZoomOut={() => history.back()}
      />
    </Chart>
  );
}
