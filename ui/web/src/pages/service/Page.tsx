// One service, everything: how much, who, what is new, what crosses the border, what is suspicious, which rules apply.

import type { ServiceFindings } from "../../api/types";
import { useAnswer } from "../../api/useAnswer";
import { type At, change, go, href } from "../../app/route";
import { Bytes, Time } from "../../parts/cells";
import { Facets } from "../../parts/subject/Facets";
import { Host, Pivots } from "../../parts/subject/Pivots";
import { SubjectBar } from "../../parts/subject/SubjectBar";
import { Failed, Loading, Notice } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { useRange } from "../../parts/time/useRange";
import { toast } from "../../parts/toast";
import { oneIn, bytes, count, share } from "../../text/units";
import { Wire } from "../../text/Wire";
import "../../parts/subject/style.css";
import "../investigate/style.css";
import "./style.css";

export function Page({ at }: { at: At }) {
  // `#/service/445` is TCP.
  const [first = "", second] = at.path;
  const [proto, port] = second === undefined ? ["tcp", first] : [first, second];
  const { range, end } = useRange(at);
  const ask = (text: string, { from, to }: Range) => {
    const match = /^(?:(tcp|udp|icmp6?|sctp|gre|\d+)\/)?(\d+)$/i.exec(text);
    if (!match) {
      toast({ text: "Write a service like tcp/445 or udp/53.", tone: "bad" });
      return;
    }
    go({ page: "service", path: [(match[1] ?? "tcp").toLowerCase(), match[2] ?? ""], params: { from, to } });
  };
  return (
    <div class="sheet">
      <SubjectBar subject={port ? `${proto}/${port}` : ""} range={range} end={end} onAsk={ask} />
      {!range ? <Loading what="the days" /> : !port ? <Notice title="Which service?"><p>Write it above, like tcp/445.</p></Notice> : <Service key={`${proto} ${port} ${range.from} ${range.to}`} proto={proto ?? "tcp"} port={port} range={range} />}
    </div>
  );
}

const side = (inside: boolean) => (inside ? "inside" : "outside");

function Service({ proto, port, range }: { proto: string; port: string; range: Range }) {
  const { value, error, retry } = useAnswer("/api/v1/service/{proto}/{port}", { proto, port, from: range.from, to: range.to });
  if (error) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="the service" />;
  if (value.connections === 0) {
    return (
      <Notice title="Nobody used this service in this time">
        <button type="button" onClick={() => change({ from: new Date(Date.parse(range.from) - 7 * 86_400_000).toISOString().replace(/\.\d+Z/, "Z"), to: range.to, date: undefined })}>
          Look a week further back
        </button>
      </Notice>
    );
  }
  return <Body found={value} range={range} />;
}

function Body({ found, range }: { found: ServiceFindings; range: Range }) {
  const exposed = found.borders.find((border) => !border.src_internal && border.dst_internal);
  const leaving = found.borders.find((border) => border.src_internal && !border.dst_internal);
  return (
    <>
      <dl class="facts">
        <Fact label="Connections" value={count(found.connections)} text={bytes(found.bytes)} />
        <Fact label="Hosts" value={`${count(found.clients)} → ${count(found.servers)}`} text="clients → servers" />
        <Fact label="Pairs" value={count(found.pairs)} text={found.has_history ? `${count(found.new_pairs.length)}${found.more_new_pairs ? "+" : ""} not seen in the 14 days before` : "no records before: nothing to compare with"} />
        <Fact label="Suspicious" value={count(found.scored)} text="records kept by the current runs" />
        <Fact label="From outside" value={count(exposed?.connections ?? 0)} text={exposed ? `${count(exposed.pairs)} pairs, ${bytes(exposed.bytes)}` : "nothing comes in"} />
      </dl>
      <section class="panel-box scroll-x" aria-labelledby="policy">
        <h2 id="policy">Borders and policy</h2>
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col" class="end">Connections</th>
              <th scope="col" class="end">Share</th>
              <th scope="col" class="end">Bytes</th>
              <th scope="col" class="end">Pairs</th>
            </tr>
          </thead>
          <tbody>
            {found.borders.map((border) => (
              <tr key={`${border.src_internal} ${border.dst_internal}`} class={border === exposed ? "crosses" : ""}>
                <td>{side(border.src_internal)}</td>
                <td>{side(border.dst_internal)}</td>
                <td class="end num">{count(border.connections)}</td>
                <td class="end num">{share(border.connections / found.connections)}</td>
                <td class="end num"><Bytes value={border.bytes} /></td>
                <td class="end num">{count(border.pairs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p class="body quiet">
          {exposed ? "Hosts outside open connections to hosts inside. " : ""}
          {leaving ? "Hosts inside use this service outside. " : ""}
          {found.rules.length === 0 ? "No rule names this port." : ""}
        </p>
        {found.rules.map((rule) => (
          <p key={rule.rule_id} class="body rule">
            <span class="pill">{rule.action}</span> <Wire text={rule.matcher} limit={300} class="mono" /> <span class="quiet">by <Wire text={rule.author} />{rule.note ? <>: <Wire text={rule.note} limit={200} /></> : null}</span>
          </p>
        ))}
      </section>
      {found.leaders.length > 0 ? (
        <section class="panel-box scroll-x" aria-labelledby="risk">
          <h2 id="risk">Most suspicious</h2>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col" class="end">Rank</th>
                <th scope="col">Time</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" class="end">Records alike</th>
                <th scope="col" class="end">As surprising</th>
              </tr>
            </thead>
            <tbody>
              {found.leaders.map((row) => (
                <tr key={row.record_id}>
                  <td class="end num"><a href={href("suspicious", ["flow"], { date: row.date, selected: row.record_id })}>{count(row.rank)}</a></td>
                  <td class="num"><Time time={row.first_seen} date /></td>
                  <td><Host ip={row.src_ip} field="src_ip" range={range} /></td>
                  <td><Host ip={row.dst_ip} field="dst_ip" range={range} /></td>
                  <td class="end num">{count(row.alike)}</td>
                  <td class="end num">{oneIn(row.percentile)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {found.has_history && found.new_pairs.length > 0 ? (
        <section class="panel-box scroll-x" aria-labelledby="new-pairs">
          <h2 id="new-pairs">New pairs</h2>
          <div class="tall" tabIndex={0} role="group" aria-label="New pairs, rows">
            <table class="plain">
              <thead>
                <tr>
                  <th scope="col">First seen</th>
                  <th scope="col">From</th>
                  <th scope="col">To</th>
                  <th scope="col" class="end">Connections</th>
                  <th scope="col" class="end">Bytes</th>
                </tr>
              </thead>
              <tbody>
                {found.new_pairs.map((pair) => (
                  <tr key={`${pair.src_ip} ${pair.dst_ip}`}>
                    <td class="num"><Time time={pair.first_seen} date /></td>
                    <td><Host ip={pair.src_ip} field="src_ip" range={range} /></td>
                    <td><Host ip={pair.dst_ip} field="dst_ip" range={range} /></td>
                    <td class="end num">{count(pair.connections)}</td>
                    <td class="end num"><Bytes value={pair.bytes} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ) : null}
      <Facets facets={found.facets} range={range} />
      <Pivots query={`proto == ${found.proto} and dst_port == ${found.port}`} to={(filter) => ({ page: "suspicious", path: ["flow"], params: { date: found.leaders[0]?.date ?? "", filter } })} range={range} />
    </>
  );
}

function Fact({ label, value, text }: { label: string; value: string; text: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <strong class="num">{value}</strong>
        <span class="quiet">{text}</span>
      </dd>
    </div>
  );
}
