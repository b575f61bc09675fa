// The raw records around the selected one: Spot's details. And every column of the record itself.

import { useEffect, useState } from "preact/hooks";
import { address, type ApiError, asApiError, get } from "../../api/client";
import type { DnsDetail, DnsDetails, DnsRow, FlowDetail, FlowDetails, FlowRow, LakeRecord, ProxyDetail, ProxyDetails, ProxyRow } from "../../api/types";
import type { Source } from "../../text/source";
import { ExportMenu } from "../../parts/ExportMenu";
import { Failed, Loading } from "../../parts/State";
import { type Column, Grid } from "../../parts/table/Grid";
import { port, protocol, queryClass, queryType, responseCode, tcpFlags } from "../../text/names";
import { duration, minute, zoneLabel } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Address, Amount, Bytes, Name, None, Text, Time } from "../../parts/cells";
import type { Row } from "./list";

type Details = FlowDetails | DnsDetails | ProxyDetails;
type Detail = FlowDetail | DnsDetail | ProxyDetail;

/** Loads with `load` whenever `key` changes. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>) {
  const [state, set] = useState<{ key: string; value?: T; error?: ApiError }>({ key: "" });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal).then(
      (value) => !abort.signal.aborted && set({ key, value }),
      (error: unknown) => !abort.signal.aborted && set({ key, error: asApiError(error) }),
    );
    return () => abort.abort();
  }, [key, turn]);
  return { value: state.key === key ? state.value : undefined, error: state.key === key ? state.error : undefined, retry: () => setTurn(turn + 1) };
}

/** What is asked for the records around a row, of the page and of an export alike. */
function wanted(source: Source, row: Row): Record<string, string> {
  const time = row.first_seen;
  if (source === "flow") return { src: (row as FlowRow).src_ip, dst: (row as FlowRow).dst_ip, time };
  if (source === "dns") return { name: (row as DnsRow).qname, time };
  return { uri: (row as ProxyRow).full_uri, client: (row as ProxyRow).client_ip, time };
}

const detailsOf = (source: Source, row: Row, signal: AbortSignal): Promise<Details> => get(`/api/v1/details/${source}`, { ...wanted(source, row), record_id: row.record_id }, signal);

const TITLES: Record<Source, string> = {
  flow: "Between the two addresses, same minute",
  dns: "This name, same hour",
  proxy: "This client and address, same hour",
};

export function RawRecords({ source, row }: { source: Source; row: Row }) {
  const { value, error, retry } = useLoad(`${source} ${row.record_id}`, (signal) => detailsOf(source, row, signal));
  if (error) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="raw records" />;
  const rows = value.rows as readonly Detail[];
  return (
    <>
      <div class="caption">
        {TITLES[source]}, {minute(value.from)} – {minute(value.to)}: {count(rows.length)}
        {value.more ? " shown, there are more" : rows.length === 1 ? " record" : " records"}
        <ExportMenu label="Export these records" to={(format) => address(`/api/v1/export/details/${source}`, { format, ...wanted(source, row) })} />
      </div>
      <Grid
        label={`Raw ${source} records: ${TITLES[source]}`}
        columns={columnsOf()[source]}
        rows={rows}
        total={rows.length}
        keyOf={(detail) => detail.record_id}
        selected={row.record_id}
        cursor={-1}
        onCursor={() => {}}
      />
    </>
  );
}

const column = <R,>(key: string, label: string, width: string, render: (row: R) => preact.ComponentChildren, align?: "end"): Column<Detail> => ({
  key,
  label,
  width,
  render: (row) => render(row as unknown as R),
  ...(align ? { align } : {}),
});

const columnsOf = (): Record<Source, Column<Detail>[]> => ({
  flow: [
    column<FlowDetail>("time", `Time (${zoneLabel()})`, "106px", (row) => <Time time={row.first_seen} />),
    column<FlowDetail>("src_ip", "Source IP", "minmax(132px, 1fr)", (row) => <Address field="src_ip" ip={row.src_ip} />),
    column<FlowDetail>("dst_ip", "Destination IP", "minmax(132px, 1fr)", (row) => <Address field="dst_ip" ip={row.dst_ip} />),
    column<FlowDetail>("src_port", "S port", "60px", (row) => port(row.src_port, row.proto, "src"), "end"),
    column<FlowDetail>("dst_port", "D port", "60px", (row) => port(row.dst_port, row.proto, "dst"), "end"),
    column<FlowDetail>("proto", "Proto", "64px", (row) => protocol(row.proto)),
    column<FlowDetail>("flags", "Flags", "72px", (row) => <span class="mono">{tcpFlags(row.src_tcp_flags)}</span>),
    column<FlowDetail>("tos", "TOS", "48px", (row) => <Amount value={row.src_tos} />, "end"),
    column<FlowDetail>("src_bytes", "In bytes", "80px", (row) => <Bytes value={row.src_bytes} />, "end"),
    column<FlowDetail>("dst_bytes", "Out bytes", "80px", (row) => <Bytes value={row.dst_bytes} />, "end"),
    column<FlowDetail>("src_packets", "In pkts", "68px", (row) => <Amount value={row.src_packets} />, "end"),
    column<FlowDetail>("dst_packets", "Out pkts", "68px", (row) => <Amount value={row.dst_packets} />, "end"),
    column<FlowDetail>("state", "State", "64px", (row) => <Text field="state" text={row.conn_state} />),
    column<FlowDetail>("exporter", "Router IP", "120px", (row) => <Address field="exporter_ip" ip={row.exporter_ip} />),
    column<FlowDetail>("input", "In if", "56px", (row) => <Amount value={row.input_if} />, "end"),
    column<FlowDetail>("output", "Out if", "56px", (row) => <Amount value={row.output_if} />, "end"),
  ],
  dns: [
    column<DnsDetail>("time", `Time (${zoneLabel()})`, "106px", (row) => <Time time={row.first_seen} />),
    column<DnsDetail>("length", "Length", "68px", (row) => <Bytes value={row.response_frame_len} />, "end"),
    column<DnsDetail>("client_ip", "Client IP", "132px", (row) => <Address field="client_ip" ip={row.client_ip} />),
    column<DnsDetail>("server_ip", "Server IP", "132px", (row) => <Address field="server_ip" ip={row.server_ip} />),
    column<DnsDetail>("qname", "Query", "minmax(180px, 1fr)", (row) => <Name field="qname" name={row.qname} />),
    column<DnsDetail>("qclass", "Class", "56px", (row) => queryClass(row.qclass)),
    column<DnsDetail>("qtype", "Type", "64px", (row) => queryType(row.qtype)),
    column<DnsDetail>("rcode", "Response", "92px", (row) => responseCode(row.rcode)),
    column<DnsDetail>("rtt", "Took", "72px", (row) => (row.rtt_us === null ? <None /> : duration(row.rtt_us / 1e6)), "end"),
    column<DnsDetail>("answers", "Answer", "minmax(180px, 1fr)", (row) => <Text field="answers" text={row.answers.join(", ")} />),
    column<DnsDetail>("damage", "Damage", "92px", (row) => <Text field="damage" text={row.damage} />),
  ],
  proxy: [
    column<ProxyDetail>("time", `Time (${zoneLabel()})`, "106px", (row) => <Time time={row.first_seen} />),
    column<ProxyDetail>("client_ip", "Client IP", "132px", (row) => <Address field="client_ip" ip={row.client_ip} />),
    column<ProxyDetail>("host", "Host", "160px", (row) => <Name field="host" name={row.host} />),
    column<ProxyDetail>("category", "Web category", "110px", (row) => <Text field="category" text={row.category} />),
    column<ProxyDetail>("status", "Response", "76px", (row) => (row.status === null ? <None /> : row.status), "end"),
    column<ProxyDetail>("method", "Method", "80px", (row) => <Text field="method" text={row.method} />),
    column<ProxyDetail>("agent", "User agent", "200px", (row) => <Text field="agent" text={row.user_agent} />),
    column<ProxyDetail>("type", "MIME", "120px", (row) => <Text field="content_type" text={row.content_type} />),
    column<ProxyDetail>("referer", "Referer", "160px", (row) => <Text field="referer" text={row.referer} />),
    column<ProxyDetail>("port", "Port", "56px", (row) => row.server_port ?? <None />, "end"),
    column<ProxyDetail>("server", "Server IP", "132px", (row) => <Address field="server_ip" ip={row.server_ip} />),
    column<ProxyDetail>("sc", "Server bytes", "92px", (row) => <Bytes value={row.response_bytes} />, "end"),
    column<ProxyDetail>("cs", "Client bytes", "92px", (row) => <Bytes value={row.request_bytes} />, "end"),
    column<ProxyDetail>("uri", "Full URI", "minmax(240px, 1fr)", (row) => <Text field="uri" text={row.full_uri} />),
  ],
});

export function AllColumns({ source, row }: { source: Source; row: Row }) {
  const { value, error, retry } = useLoad<LakeRecord>(`${source} ${row.record_id}`, (signal) =>
    get("/api/v1/record/{source}/{record_id}", { source, record_id: row.record_id, date: row.first_seen.slice(0, 10) }, signal),
  );
  if (error) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="the record" />;
  return (
    <dl class="columns">
      {value.columns.map((entry) => (
        <div key={entry.name} class={entry.value === null ? "absent" : ""}>
          <dt>{entry.name}</dt>
          <dd class="mono">{entry.value === null ? "not observed" : <Wire text={entry.value} />}</dd>
        </div>
      ))}
    </dl>
  );
}
