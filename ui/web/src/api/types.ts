// provisional
export type Source = "flow" | "dns" | "proxy";
export type ListState = "ready" | "not_scored" | "no_data";
export interface Health {
  status: string;
  version: string;
}
export interface Days {
  today: string;
  days: Day[];
}
export interface Day {
  date: string;
  flow: SourceDay;
  dns: SourceDay;
  proxy: SourceDay;
}
export interface SourceDay {
  rows: number;
  bytes: number;
  scored: number | null;
}
export interface Run {
  run_id: string;
  source: Source;
  date: string;
  scored_at: string;
  rows: number;
  words: string;
  model: string;
  current: boolean;
  card: Record<string, unknown> | null;
}
export interface Standing {
  rank: number;
  group_id: string;
  group_size: number;
  score: number;
  surprise_bits: number | null;
  percentile: number;
  confidence: number;
  word_hosts: number;
  words: string;
}
export interface Why {
  host: string;
  side: string | null;
  word: string;
  other_word: string | null;
  features: Feature[];
  feature: string | null;
  value: string | null;
  deciding_score: number | null;
  host_share: number | null;
  all_share: number | null;
  nearest_common: string | null;
}
export interface Feature {
  name: string;
  value: string;
  meaning: string;
}
export interface FlowRow {
  record_id: string;
  standing: Standing;
  why: Why;
  first_seen: string;
  last_seen: string;
  sensor: string;
  src_ip: string;
  dst_ip: string;
  src_port: number;
  dst_port: number;
  proto: number;
  src_packets: number;
  src_bytes: number;
  dst_packets: number | null;
  dst_bytes: number | null;
  conn_state: string | null;
  service: string | null;
  src_internal: boolean | null;
  dst_internal: boolean | null;
  community_id: string;
}
export interface DnsRow {
  record_id: string;
  standing: Standing;
  why: Why;
  first_seen: string;
  sensor: string;
  client_ip: string;
  server_ip: string;
  transport: string;
  qname: string;
  qname_wire: string;
  qtype: number;
  qclass: number;
  rcode: number | null;
  response_frame_len: number | null;
  community_id: string;
}
export interface ProxyRow {
  record_id: string;
  standing: Standing;
  why: Why;
  first_seen: string;
  sensor: string;
  client_ip: string;
  server_ip: string | null;
  scheme: string;
  method: string;
  host: string;
  full_uri: string;
  user_agent: string | null;
  referer: string | null;
  content_type: string | null;
  category: string | null;
  status: number | null;
  request_bytes: number | null;
  response_bytes: number | null;
}
export interface ListQuery {
  date: string | null;
  limit: number | null;
  cursor: string | null;
  filter: string | null;
  groups: string | null;
  group: string | null;
  sort: string | null;
}
export interface DayQuery {
  date: string;
}
export interface FlowDetailsQuery {
  src: string;
  dst: string;
  time: string;
  limit: number | null;
}
export interface DnsDetailsQuery {
  name: string;
  time: string;
  limit: number | null;
}
export interface ProxyDetailsQuery {
  uri: string;
  client: string;
  time: string;
  limit: number | null;
}
export interface FlowDetails {
  from: string;
  to: string;
  more: boolean;
  rows: FlowDetail[];
}
export interface FlowDetail {
  record_id: string;
  first_seen: string;
  last_seen: string;
  src_ip: string;
  dst_ip: string;
  src_port: number;
  dst_port: number;
  proto: number;
  src_tcp_flags: number | null;
  dst_tcp_flags: number | null;
  src_tos: number | null;
  src_packets: number;
  src_bytes: number;
  dst_packets: number | null;
  dst_bytes: number | null;
  conn_state: string | null;
  service: string | null;
  exporter_ip: string | null;
  input_if: number | null;
  output_if: number | null;
}
export interface DnsDetails {
  from: string;
  to: string;
  more: boolean;
  rows: DnsDetail[];
}
export interface DnsDetail {
  record_id: string;
  first_seen: string;
  client_ip: string;
  server_ip: string;
  qname: string;
  qtype: number;
  qclass: number;
  rcode: number | null;
  response_frame_len: number | null;
  rtt_us: number | null;
  answers: string[];
  damage: string | null;
}
export interface ProxyDetails {
  from: string;
  to: string;
  more: boolean;
  rows: ProxyDetail[];
}
export interface ProxyDetail {
  record_id: string;
  first_seen: string;
  client_ip: string;
  server_ip: string | null;
  server_port: number | null;
  host: string;
  method: string;
  status: number | null;
  category: string | null;
  user_agent: string | null;
  content_type: string | null;
  referer: string | null;
  request_bytes: number | null;
  response_bytes: number | null;
  full_uri: string;
}
export interface LakeRecord {
  source: Source;
  record_id: string;
  columns: RecordColumn[];
}
export interface RecordColumn {
  name: string;
  value: string | null;
}
export interface Ingest {
  source: Source;
  date: string;
  total: number;
  per_minute: number[];
}
export interface Status {
  version: string;
  at: string;
  lake: string;
  tables: TableStatus[];
  books: Book[];
  runs: Run[];
}
export interface TableStatus {
  table: string;
  parts: number;
  rows: number;
  bytes: number;
  first: string | null;
  last: string | null;
}
export interface Book {
  sensor: string;
  source: string;
  from: string;
  to: string;
  equations: Equation[];
  closed: boolean | null;
  lost: number;
  counters: Counter[];
}
export interface Equation {
  unit: string;
  total: Counter;
  terms: Counter[];
  difference: string;
}
export interface Counter {
  name: string;
  value: number;
}
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  action: string;
}
export interface Link {
  url: string;
}
export interface FlowList {
  date: string;
  state: ListState;
  run: Run | null;
  records: number;
  matching: number;
  groups: number;
  rows: FlowRow[];
  next_cursor: string | null;
}
export interface DnsList {
  date: string;
  state: ListState;
  run: Run | null;
  records: number;
  matching: number;
  groups: number;
  rows: DnsRow[];
  next_cursor: string | null;
}
export interface ProxyList {
  date: string;
  state: ListState;
  run: Run | null;
  records: number;
  matching: number;
  groups: number;
  rows: ProxyRow[];
  next_cursor: string | null;
}
export interface Responses {
  "/api/v1/days": Days;
  "/api/v1/suspicious/flow": FlowList;
  "/api/v1/suspicious/dns": DnsList;
  "/api/v1/suspicious/proxy": ProxyList;
  "/api/v1/details/flow": FlowDetails;
  "/api/v1/details/dns": DnsDetails;
  "/api/v1/details/proxy": ProxyDetails;
  "/api/v1/suspicious/flow/{record_id}": FlowRow;
  "/api/v1/suspicious/dns/{record_id}": DnsRow;
  "/api/v1/suspicious/proxy/{record_id}": ProxyRow;
  "/api/v1/record/{source}/{record_id}": LakeRecord;
  "/api/v1/ingest/{source}": Ingest;
  "/api/v1/status": Status;
  "/api/v1/health": Health;
}