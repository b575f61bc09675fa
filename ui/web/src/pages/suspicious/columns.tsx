// Apache Spot's columns for each source, led by rank and surprise and closed by the reason.

import type { DnsRow, FlowRow, ProxyRow, Said } from "../../api/types";
import type { Source } from "../../text/source";
import { Address, Amount, Bytes, Name, Text, Time } from "../../parts/cells";
import type { Column } from "../../parts/table/Grid";
import { Value } from "../../parts/value/Value";
import { port, protocol, queryClass, queryType, responseCode } from "../../text/names";
import { zoneLabel } from "../../text/time";
import { band, count, oneIn } from "../../text/units";
import { escapeText } from "../../text/hostile";
import { Wire } from "../../text/Wire";
import type { Line, Row } from "./list";
import { mark, marked, SEVERITIES, type Severity } from "./scoring";
import { summary } from "./words";

/** What a group's leader needs to open it. */
export interface GroupState {
  isOpen: (id: string) => boolean;
  toggle: (row: Row) => void;
  flat: boolean;
  /** Files of the context know values in these rows: their marks take room. */
  marks: boolean;
}

/** Bits that fill the bar. */
const FULL = 24;

function Surprise({ row }: { row: Row }) {
  const { surprise_bits: bits, score, percentile } = row.standing;
  const tone = band(percentile);
  const label = bits === null ? "∞" : bits.toFixed(1);
  const title = `${label} bits: P(word | host) = ${score === 0 ? "0" : score.toPrecision(3)}`;
  return (
    <span class={`surprise ${tone}`} title={title}>
      <span class="num">{label}</span>
      <span class="bar" aria-hidden="true">
        <span style={{ width: `${Math.min(100, ((bits ?? FULL) / FULL) * 100)}%` }} />
      </span>
    </span>
  );
}

function Rank({ line, groups }: { line: Line; groups: GroupState }) {
  const { row, member } = line;
  const size = row.standing.group_size;
  const open = !groups.flat && groups.isOpen(row.standing.group_id);
  return (
    <span class="rank">
      {!groups.flat && !member && size > 1 ? (
        <button
          type="button"
          class="expand"
          tabIndex={-1}
          aria-expanded={open}
          aria-label={`×${count(size)} records in this group: ${open ? "close" : "open"}`}
          title={`${count(size)} records of that day are of the same host for the same reason`}
          onClick={(event) => {
            event.stopPropagation();
            groups.toggle(row);
          }}
        >
          <span class="twist" aria-hidden="true" />×{count(size)}
        </button>
      ) : null}
      <span class="num">{count(row.standing.rank)}</span>
    </span>
  );
}

/** The box that marks a row for a verdict on many. */
function Mark({ row }: { row: Row }) {
  return (
    <input
      type="checkbox"
      tabIndex={-1}
      aria-label={`Mark rank ${row.standing.rank}`}
      checked={marked.value.has(row.record_id)}
      onClick={(event) => event.stopPropagation()}
      onChange={(event) => mark(row, event.currentTarget.checked)}
    />
  );
}

/** What was said of a row. */
function SaidBadge({ said }: { said: Said }) {
  if (said.severity !== null) return <span class={`said-badge s${said.severity}`} title={`Rated ${SEVERITIES[said.severity as Severity] ?? said.severity}`}>{said.severity}</span>;
  if (said.suppressed_by !== null) return <span class="said-badge" title={`Suppressed by rule ${said.suppressed_by}`}>S</span>;
  if (said.allowed_by !== null) return <span class="said-badge" title={`Allowed by rule ${said.allowed_by}`}>A</span>;
  if (said.resembles !== null) return <span class="said-badge like" title={`Goes to the same place as what verdict ${said.resembles} confirmed`}>≈</span>;
  return null;
}

function lead(groups: GroupState): Column<Line>[] {
  return [
    {
      key: "mark",
      label: "",
      hint: "Mark rows (x), then rate them all at once (1, 2, 3)",
      width: "34px",
      render: ({ row }) => <Mark row={row} />,
    },
    {
      key: "said",
      label: "Said",
      hint: "1 high, 2 medium, 3 low; A allowed, S suppressed by a rule; ≈ goes to the same place as something confirmed",
      width: "46px",
      render: ({ row }) => <SaidBadge said={row.said} />,
    },
    {
      key: "rank",
      label: "Rank",
      hint: "1 is the most suspicious. ×N: a group of N records of one host for the same reason.",
      width: "100px",
      align: "end",
      sort: "rank",
      render: (line) => <Rank line={line} groups={groups} />,
    },
    {
      key: "surprise",
      label: "Surprise",
      hint: "In bits: −log2 of the probability of this record for this host. 10 bits: one in a thousand; 20 bits: one in a million.",
      width: "96px",
      align: "end",
      sort: "surprise_bits",
      render: ({ row }) => <Surprise row={row} />,
    },
    {
      key: "band",
      label: "As rare as",
      hint: "Share of the records looked at that are at least as surprising. Red: the top 0.01%, orange: 0.1%, yellow: 1%.",
      width: "92px",
      align: "end",
      render: ({ row }) => <span class={`band ${band(row.standing.percentile)}`}>{oneIn(row.standing.percentile)}</span>,
    },
    {
      key: "time",
      label: `Time (${zoneLabel()})`,
      width: "106px",
      sort: "first_seen",
      render: ({ row }) => <Time time={row.first_seen} />,
    },
  ];
}

/** The scores behind the rank, each to be sorted by. */
function scores(): Column<Line>[] {
  const number = (key: string, label: string, hint: string, render: (row: Row) => preact.ComponentChildren): Column<Line> => ({
    key, label, hint, width: "82px", align: "end", sort: key, render: ({ row }) => <span class="num">{render(row)}</span>,
  });
  return [
    number("spot_rank", "Spot rank", "Place by the topic model's score alone, as Apache Spot ranks", (row) => count(row.standing.spot_rank)),
    number("score", "Score", "P(word | host): Apache Spot's score", (row) => (row.standing.score === 0 ? "0" : row.standing.score.toPrecision(3))),
    number("percentile", "Percentile", "Share of the records looked at that were less surprising", (row) => row.standing.percentile.toFixed(5)),
    number("confidence", "Confidence", "Evidence behind the host: 0 none, 1 plenty", (row) => row.standing.confidence.toFixed(2)),
    number("word_hosts", "Hosts", "Hosts that have this word at all", (row) => count(row.standing.word_hosts)),
    number("days_before", "Days before", "Scored days, of the seven before, whose list had the same: 0 is new", (row) => row.standing.days_before ?? "–"),
    number("group_size", "Alike", "Records of the same host for the same reason", (row) => count(row.standing.group_size)),
    {
      key: "detector", label: "Detector", hint: "The detector or score that decided", width: "130px",
      render: ({ row }) => (row.why.fired[0] ? <Wire text={row.why.fired[0].name} /> : <span class="none">–</span>),
    },
    { key: "sensor", label: "Sensor", width: "90px", render: ({ row }) => <Value field="sensor" value={row.sensor} /> },
  ];
}

function why(): Column<Line> {
  return {
    key: "why",
    label: "Why",
    hint: "What made the record improbable. Select the row for the whole explanation.",
    width: "minmax(280px, 1.2fr)",
    render: ({ row }) => {
      const text = escapeText(summary(row), 300);
      return <span class="why" title={text}>{text}</span>;
    },
  };
}

const of = <R,>(render: (row: R) => preact.ComponentChildren) => (line: Line) => render(line.row as unknown as R);

function flow(marks: boolean): Column<Line>[] {
  const address = marks ? "minmax(176px, 0.5fr)" : "minmax(132px, 0.5fr)";
  const amount = (key: string, label: string, hint: string, value: (row: FlowRow) => number | null, bytes = false) => ({
    key,
    label,
    hint,
    width: bytes ? "80px" : "72px",
    align: "end" as const,
    sort: key,
    render: of<FlowRow>((row) => (bytes ? <Bytes value={value(row)} /> : <Amount value={value(row)} />)),
  });
  return [
    { key: "src_ip", label: "Source IP", hint: "The initiator. A dot marks our own networks.", width: address, sort: "src_ip", render: of<FlowRow>((row) => <Address field="src_ip" ip={row.src_ip} internal={row.src_internal} known={row.known} />) },
    { key: "dst_ip", label: "Destination IP", hint: "The responder.", width: address, sort: "dst_ip", render: of<FlowRow>((row) => <Address field="dst_ip" ip={row.dst_ip} internal={row.dst_internal} known={row.known} />) },
    { key: "src_port", label: "S port", hint: "Source port", width: "60px", align: "end", sort: "src_port", render: of<FlowRow>((row) => <Value field="src_port" value={row.src_port} kind="port"><span class="num">{port(row.src_port, row.proto, "src")}</span></Value>) },
    { key: "dst_port", label: "D port", hint: "Destination port. ICMP: type/code.", width: "60px", align: "end", sort: "dst_port", render: of<FlowRow>((row) => <Value field="dst_port" value={row.dst_port} kind="port"><span class="num">{port(row.dst_port, row.proto, "dst")}</span></Value>) },
    { key: "proto", label: "Proto", hint: "Protocol, and the service recognised in it", width: "80px", sort: "proto", render: of<FlowRow>((row) => <Value field="proto" value={row.proto}>{protocol(row.proto)}{row.service ? <span class="quiet"> {row.service}</span> : null}</Value>) },
    amount("src_packets", "In pkts", "Packets from source to destination (Spot's input packets)", (row) => row.src_packets),
    amount("src_bytes", "In bytes", "Bytes from source to destination (Spot's input bytes), IP headers included", (row) => row.src_bytes, true),
    amount("dst_packets", "Out pkts", "Packets from destination to source (Spot's output packets)", (row) => row.dst_packets),
    { key: "state", label: "State", hint: "Zeek's conn_state", width: "64px", render: of<FlowRow>((row) => <Text field="state" text={row.conn_state} />) },
    { key: "community_id", label: "Community ID", width: "250px", render: of<FlowRow>((row) => <Text field="community_id" text={row.community_id} />) },
    amount("dst_bytes", "Out bytes", "Bytes from destination to source (Spot's output bytes), IP headers included", (row) => row.dst_bytes, true),
  ];
}

function dns(): Column<Line>[] {
  return [
    { key: "client_ip", label: "Client IP", width: "minmax(142px, 0.4fr)", sort: "client_ip", render: of<DnsRow>((row) => <Address field="client_ip" ip={row.client_ip} known={row.known} />) },
    { key: "qname", label: "Query", hint: "The name asked for. Internationalised names stand in their encoded form (xn--).", width: "minmax(260px, 1.4fr)", sort: "qname", render: of<DnsRow>((row) => <Name field="qname" name={row.qname} known={row.known} />) },
    { key: "qclass", label: "Class", width: "60px", sort: "qclass", render: of<DnsRow>((row) => <Value field="qclass" value={row.qclass}>{queryClass(row.qclass)}</Value>) },
    { key: "qtype", label: "Type", width: "72px", sort: "qtype", render: of<DnsRow>((row) => <Value field="qtype" value={row.qtype}>{queryType(row.qtype)}</Value>) },
    { key: "rcode", label: "Response", hint: "Response code", width: "100px", sort: "rcode", render: of<DnsRow>((row) => <Value field="rcode" value={row.rcode ?? "none"}><span class={row.rcode === 0 ? "" : "notable"}>{responseCode(row.rcode)}</span></Value>) },
    { key: "server_ip", label: "Server IP", width: "minmax(132px, 0.4fr)", render: of<DnsRow>((row) => <Address field="server_ip" ip={row.server_ip} />) },
    { key: "transport", label: "Over", width: "64px", render: of<DnsRow>((row) => <Text field="transport" text={row.transport} />) },
    { key: "response_frame_len", label: "Length", hint: "Bytes of the answer's frame", width: "76px", align: "end", sort: "response_frame_len", render: of<DnsRow>((row) => <Bytes value={row.response_frame_len} />) },
  ];
}

function proxy(): Column<Line>[] {
  return [
    { key: "client_ip", label: "Client IP", width: "minmax(142px, 0.4fr)", sort: "client_ip", render: of<ProxyRow>((row) => <Address field="client_ip" ip={row.client_ip} known={row.known} />) },
    { key: "host", label: "Host", width: "minmax(160px, 0.8fr)", sort: "host", render: of<ProxyRow>((row) => <Name field="host" name={row.host} known={row.known.some((one) => one.field === "full_uri") ? [...row.known, ...row.known.filter((one) => one.field === "full_uri").map((one) => ({ ...one, field: "host" }))] : row.known} />) },
    { key: "method", label: "Method", width: "84px", sort: "method", render: of<ProxyRow>((row) => <Text field="method" text={row.method} />) },
    { key: "full_uri", label: "URI", width: "minmax(200px, 1.1fr)", sort: "full_uri", render: of<ProxyRow>((row) => <Text field="uri" text={row.full_uri} />) },
    { key: "category", label: "Web category", hint: "As the proxy gave it", width: "minmax(100px, 0.4fr)", sort: "category", render: of<ProxyRow>((row) => <Text field="category" text={row.category} />) },
    { key: "status", label: "Response", hint: "HTTP status", width: "84px", align: "end", sort: "status", render: of<ProxyRow>((row) => <Value field="status" value={row.status}><span class="num">{row.status}</span></Value>) },
    { key: "server_ip", label: "Server IP", width: "minmax(132px, 0.4fr)", render: of<ProxyRow>((row) => <Address field="server_ip" ip={row.server_ip} />) },
    { key: "user_agent", label: "User agent", width: "minmax(160px, 0.6fr)", render: of<ProxyRow>((row) => <Text field="agent" text={row.user_agent} />) },
    { key: "content_type", label: "MIME", width: "130px", render: of<ProxyRow>((row) => <Text field="content_type" text={row.content_type} />) },
    { key: "referer", label: "Referer", width: "minmax(140px, 0.5fr)", render: of<ProxyRow>((row) => <Text field="referer" text={row.referer} />) },
    { key: "request_bytes", label: "Sent", hint: "Bytes of the request", width: "84px", align: "end", render: of<ProxyRow>((row) => <Bytes value={row.request_bytes} />) },
    { key: "response_bytes", label: "Bytes", hint: "Bytes of the answer", width: "84px", align: "end", sort: "response_bytes", render: of<ProxyRow>((row) => <Bytes value={row.response_bytes} />) },
  ];
}

/** The columns of a source. */
export function columnsOf(source: Source, groups: GroupState): Column<Line>[] {
  const own = { flow, dns, proxy }[source](groups.marks);
  return [...lead(groups), ...own, why(), ...scores()];
}

/** Keys of the columns that are shown until someone chooses. */
export const STANDARD: Record<Source, readonly string[]> = {
  flow: ["mark", "rank", "surprise", "band", "time", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_packets", "src_bytes", "dst_packets", "dst_bytes", "why"],
  dns: ["mark", "rank", "surprise", "band", "time", "client_ip", "qname", "qclass", "qtype", "rcode", "response_frame_len", "why"],
  proxy: ["mark", "rank", "surprise", "band", "time", "client_ip", "host", "method", "full_uri", "category", "status", "response_bytes", "why"],
};
