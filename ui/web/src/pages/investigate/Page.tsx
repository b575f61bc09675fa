// Threat investigation: what the raw lake says of one thing over any days, and the story that comes of it.

import { useState } from "preact/hooks";
import type { Investigation, Peer, Way } from "../../api/types";
import { useAnswer } from "../../api/useAnswer";
import { useParam } from "../../app/param";
import { type At, go, href } from "../../app/route";
import { Bytes, Time } from "../../parts/cells";
import { Facets } from "../../parts/subject/Facets";
import { entityHref, isAddress, WAYS } from "../../parts/subject/links";
import { Host, Pivots } from "../../parts/subject/Pivots";
import { StoryDialog } from "../../parts/subject/StoryDialog";
import { SubjectBar } from "../../parts/subject/SubjectBar";
import { Failed, Loading, Notice } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { useRange } from "../../parts/time/useRange";
import { escapeText } from "../../text/hostile";
import { SOURCE_NAMES, SOURCES, type Source } from "../../text/source";
import { exact } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Connections } from "./Connections";
import { High } from "./High";
import "../../parts/chart/chart.css";
import "../../parts/subject/style.css";
import "./style.css";

export function Page({ at }: { at: At }) {
  const subject = at.params["subject"] ?? "";
  const { range, end } = useRange(at);
  // Other days of the same are shown in the same way.
  const ask = (next: string, { from, to }: Range) => go({ page: "investigate", path: [], params: { ...(next === subject ? at.params : {}), subject: next, from, to, date: "" } });
  return (
    <div class="sheet">
      <SubjectBar subject={subject} range={range} end={end} onAsk={ask} />
      {!range ? <Loading what="the days" /> : subject ? <Found key={subject} subject={subject} range={range} /> : <High range={range} source={SOURCES.find((one) => one === at.path[0])} />}
    </div>
  );
}

function Found({ subject, range }: { subject: string; range: Range }) {
  const answer = useAnswer("/api/v1/investigation", { subject, from: range.from, to: range.to });
  const [story, setStory] = useState(false);
  if (answer.error) return <Failed error={answer.error} retry={answer.retry} />;
  if (answer.loading) {
    return (
      <p class="busy-line" role="status">
        Searching the raw records …
        <button type="button" onClick={answer.cancel}>
          Cancel
        </button>
      </p>
    );
  }
  const found = answer.value;
  if (!found) {
    return (
      <Notice title="The search was cancelled">
        <button type="button" onClick={answer.retry}>
          Search again
        </button>
      </Notice>
    );
  }
  const all = found.totals.reduce((sum, total) => sum + total.records, 0);
  return (
    <>
      <header class="found">
        <h2>
          <Wire text={found.subject} limit={200} class="mono" /> {found.internal === null ? null : <span class="pill">{found.internal ? "inside" : "outside"}</span>}
        </h2>
        <span class="quiet">
          {count(all)} records, computed {exact(found.computed_at)} in {found.took_ms} ms
        </span>
        <span class="spacer" />
        {found.kind === "uri" ? null : <a href={entityHref(found.subject, range)}>Everything in order of time</a>}
        <a href={href("storyboard", [], { subject: found.subject, from: range.from, to: range.to })}>Storyboard</a>
        <button type="button" class="primary" onClick={() => setStory(true)}>
          Tell the story …
        </button>
      </header>
      {all === 0 ? (
        <Notice title="The lake has nothing of it in this time">
          <p>Choose other days, or look for a name instead of an address.</p>
        </Notice>
      ) : (
        <Findings found={found} range={range} />
      )}
      {story ? <StoryDialog subject={found.subject} source={mainSource(found)} range={range} onClose={() => setStory(false)} /> : null}
    </>
  );
}

/** The source that says most of it. */
function mainSource(found: Investigation): Source {
  if (found.kind === "uri") return "proxy";
  if (found.kind !== "name") return "flow";
  const [dns = 0, proxy = 0] = (["dns", "proxy"] as const).map((source) => found.totals.find((total) => total.source === source)?.records ?? 0);
  return dns >= proxy ? "dns" : "proxy";
}

export function Findings({ found, range }: { found: Investigation; range: Range }) {
  return (
    <>
      <dl class="facts">
        {found.totals.map((total) => (
          <div key={total.source}>
            <dt>{SOURCE_NAMES[total.source]}</dt>
            <dd>
              <strong class="num">{count(total.records)}</strong>
              {total.first_seen && total.last_seen ? (
                <span class="quiet">
                  <Time time={total.first_seen} date /> – <Time time={total.last_seen} date />
                </span>
              ) : (
                <span class="quiet">none in this time</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {found.kind === "name" && found.ways.length > 0 ? (
        <p class="quiet">
          Flows are those of the {found.addresses.length} addresses that the name resolved to in this time:{" "}
          {found.addresses.slice(0, 8).map((address, index) => (
            <span key={address}>
              {index > 0 ? ", " : ""}
              <a href={entityHref(address, range)} class="mono">
                {escapeText(address)}
              </a>
            </span>
          ))}
          {found.addresses.length > 8 ? " …" : ""} Other names may share them.
        </p>
      ) : null}
      {found.ways.length > 0 ? <Ways ways={found.ways} /> : null}
      {found.peers.length > 0 ? <Peers peers={found.peers} range={range} /> : null}
      <Facets facets={found.facets} range={range} />
      {found.ways.length > 0 ? <Connections subject={found.subject} range={range} /> : null}
      {found.kind === "uri" ? null : <Pivots query="" to={(filter) => ({ page: isAddress(found.subject) ? "ip" : "name", path: [found.subject], params: { from: range.from, to: range.to, filter } })} range={range} />}
    </>
  );
}

function Ways({ ways }: { ways: readonly Way[] }) {
  return (
    <section class="panel-box scroll-x" aria-labelledby="ways">
      <h2 id="ways">In, out, two way</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col" title="Who opens the connections">Way</th>
            <th scope="col" class="end">Peers</th>
            <th scope="col" class="end">Connections</th>
            <th scope="col" class="end">Bytes in</th>
            <th scope="col" class="end">Bytes out</th>
            <th scope="col" class="end">Packets in</th>
            <th scope="col" class="end">Packets out</th>
            <th scope="col" class="end">Largest</th>
            <th scope="col" class="end">Average</th>
            <th scope="col">First seen</th>
            <th scope="col">Last seen</th>
          </tr>
        </thead>
        <tbody>
          {ways.map((way) => (
            <tr key={way.way}>
              <th scope="row" class={`way-${way.way}`}>
                {WAYS[way.way]}
              </th>
              <td class="end num">{count(way.peers)}</td>
              <td class="end num">{count(way.connections)}</td>
              <td class="end num"><Bytes value={way.bytes_in} /></td>
              <td class="end num"><Bytes value={way.bytes_out} /></td>
              <td class="end num">{count(way.packets_in)}</td>
              <td class="end num">{count(way.packets_out)}</td>
              <td class="end num" title={`${count(way.max_packets)} packets at most`}><Bytes value={way.max_bytes} /></td>
              <td class="end num" title={`${((way.packets_in + way.packets_out) / way.connections).toFixed(1)} packets on average`}>
                {bytes(Math.round((way.bytes_in + way.bytes_out) / way.connections))}
              </td>
              <td class="num"><Time time={way.first_seen} date /></td>
              <td class="num"><Time time={way.last_seen} date /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const LISTS = [
  ["rank_bytes", "Top by bytes"],
  ["rank_connections", "Top by connections"],
] as const;

function Peers({ peers, range }: { peers: readonly Peer[]; range: Range }) {
  const [list, setList] = useParam("order", ["rank_bytes", "rank_connections"]);
  const [way, setWay] = useParam("way", ["all", "in", "out", "two_way"]);
  const ways = (["in", "out", "two_way"] as const).filter((one) => peers.some((peer) => peer.way === one));
  const shown = peers
    .filter((peer) => (way === "all" || peer.way === way) && peer[list] <= 20)
    .toSorted((a, b) => (list === "rank_bytes" ? b.bytes_in + b.bytes_out - a.bytes_in - a.bytes_out : b.connections - a.connections));
  return (
    <section class="panel-box scroll-x" aria-labelledby="peers">
      <header>
        <h2 id="peers">Peers</h2>
        <span class="spacer" />
        <div class="tabs" role="group" aria-label="Order">
          {LISTS.map(([name, label]) => (
            <button key={name} type="button" class="small" aria-pressed={list === name} onClick={() => setList(name)}>
              {label}
            </button>
          ))}
        </div>
        <div class="tabs" role="group" aria-label="Way">
          <button type="button" class="small" aria-pressed={way === "all"} onClick={() => setWay("all")}>
            All
          </button>
          {ways.map((one) => (
            <button key={one} type="button" class="small" aria-pressed={way === one} onClick={() => setWay(one)}>
              {WAYS[one]}
            </button>
          ))}
        </div>
      </header>
      <div class="tall" tabIndex={0} role="group" aria-label="Peers, rows">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Peer</th>
              <th scope="col">Way</th>
              <th scope="col" class="end">Connections</th>
              <th scope="col" class="end">Bytes in</th>
              <th scope="col" class="end">Bytes out</th>
              <th scope="col" class="end">Packets in</th>
              <th scope="col" class="end">Packets out</th>
              <th scope="col" class="end">Largest</th>
              <th scope="col" class="end">Ports</th>
              <th scope="col">First seen</th>
              <th scope="col">Last seen</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((peer) => (
              <tr key={peer.peer}>
                <td>
                  <Host ip={peer.peer} range={range} />
                  {peer.internal ? <span class="pill">inside</span> : null}
                </td>
                <td class={`way-${peer.way}`}>{WAYS[peer.way]}</td>
                <td class="end num">{count(peer.connections)}</td>
                <td class="end num"><Bytes value={peer.bytes_in} /></td>
                <td class="end num"><Bytes value={peer.bytes_out} /></td>
                <td class="end num">{count(peer.packets_in)}</td>
                <td class="end num">{count(peer.packets_out)}</td>
                <td class="end num" title={`${count(peer.max_packets)} packets`}><Bytes value={peer.max_bytes} /></td>
                <td class="end num">{count(peer.ports)}</td>
                <td class="num"><Time time={peer.first_seen} date /></td>
                <td class="num"><Time time={peer.last_seen} date /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
