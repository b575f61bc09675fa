// The live feed: a WebSocket, or server-sent events where one cannot be had. One reconnect at a time, later each time.

import { type Signal, signal } from "@preact/signals";

export interface Volume {
  packets: number;
  bytes: number;
}

export interface Traffic {
  wire: Volume;
  incoming: Volume;
  outgoing: Volume;
  internal: Volume;
  external: Volume;
}

export interface Host {
  ip: string;
  home: boolean;
  sent: Volume;
  received: Volume;
}

export interface Second {
  type: "second";
  source: string;
  kind: "capture" | "import";
  sensor: string;
  at: string;
  interval_us: number;
  ended: boolean;
  traffic: Traffic;
  records: { flows_opened: number; flow: number; dns: number; proxy: number };
  talkers: readonly Host[];
  names: readonly { name: string; kind: string; count: number }[];
  drops: readonly { cause: string; packets: number; total: number }[];
  ledger: Readonly<Record<string, number>>;
  reports_lost: number;
}

interface Snapshot {
  type: "snapshot";
  sources: readonly Second[];
  history: readonly { source: string; at: string; interval_us: number; traffic: Traffic; dropped: number }[];
}

type Message = Snapshot | Second | { type: "dropped"; messages: number; total: number };

export interface Point {
  /** Unix seconds. */
  at: number;
  traffic: Traffic;
  dropped: number;
}

/** Seconds kept of each source. */
export const KEPT = 600;

export interface Feed {
  state: Signal<"connecting" | "open" | "events" | "lost">;
  /** Of each source, its last seconds, oldest first. */
  points: Signal<ReadonlyMap<string, readonly Point[]>>;
  /** Of each source, its latest second. */
  latest: Signal<ReadonlyMap<string, Second>>;
  /** Of each source, sums by host over what was seen. */
  hosts: Signal<ReadonlyMap<string, Host>>;
  names: Signal<ReadonlyMap<string, { kind: string; count: number }>>;
  /** Messages that this page was too slow for. */
  missed: Signal<number>;
  close: () => void;
}

/** Hosts and names whose sums are kept; the lighter half is forgotten at the bound. */
const MOST = 2_000;

const seconds = (time: string) => Math.round(Date.parse(time) / 1000);

function trim<V>(map: Map<string, V>, weight: (value: V) => number): void {
  if (map.size <= MOST) return;
  const kept = [...map].toSorted((a, b) => weight(b[1]) - weight(a[1])).slice(0, MOST / 2);
  map.clear();
  for (const [key, value] of kept) map.set(key, value);
}

export function openFeed(): Feed {
  const feed = {
    state: signal<"connecting" | "open" | "events" | "lost">("connecting"),
    points: signal<ReadonlyMap<string, readonly Point[]>>(new Map()),
    latest: signal<ReadonlyMap<string, Second>>(new Map()),
    hosts: signal<ReadonlyMap<string, Host>>(new Map()),
    names: signal<ReadonlyMap<string, { kind: string; count: number }>>(new Map()),
    missed: signal(0),
  };
  let closed = false;
  let tries = 0;
  let end = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;

  const add = (points: Map<string, readonly Point[]>, source: string, point: Point) => {
    const before = points.get(source) ?? [];
    if ((before.at(-1)?.at ?? 0) >= point.at) return;
    points.set(source, [...before, point].slice(-KEPT));
  };
  const take = (text: string) => {
    const message = JSON.parse(text) as Message;
    if (message.type === "dropped") {
      feed.missed.value = message.total;
      return;
    }
    if (message.type === "snapshot") {
      const points = new Map(feed.points.value);
      for (const old of message.history) add(points, old.source, { at: seconds(old.at), traffic: old.traffic, dropped: old.dropped });
      feed.points.value = points;
      feed.latest.value = new Map(message.sources.map((one) => [one.source, one]));
      return;
    }
    const points = new Map(feed.points.value);
    add(points, message.source, { at: seconds(message.at), traffic: message.traffic, dropped: message.drops.reduce((sum, drop) => sum + drop.packets, 0) });
    feed.points.value = points;
    const latest = new Map(feed.latest.value);
    if (message.ended) latest.delete(message.source);
    else latest.set(message.source, message);
    feed.latest.value = latest;
    const hosts = new Map(feed.hosts.value);
    for (const host of message.talkers) {
      const before = hosts.get(host.ip);
      const plus = (a: Volume | undefined, b: Volume) => ({ packets: (a?.packets ?? 0) + b.packets, bytes: (a?.bytes ?? 0) + b.bytes });
      hosts.set(host.ip, { ip: host.ip, home: host.home, sent: plus(before?.sent, host.sent), received: plus(before?.received, host.received) });
    }
    trim(hosts, (host) => host.sent.bytes + host.received.bytes);
    feed.hosts.value = hosts;
    const names = new Map(feed.names.value);
    for (const { name, kind, count } of message.names) names.set(name, { kind, count: (names.get(name)?.count ?? 0) + count });
    trim(names, (name) => name.count);
    feed.names.value = names;
  };
  const again = () => {
    if (closed) return;
    feed.state.value = "lost";
    tries += 1;
    timer = setTimeout(connect, Math.min(15_000, 500 * 2 ** tries));
  };
  const connect = () => {
    // Two that could not even open: something between does not let WebSockets through.
    if (tries >= 2 && feed.points.value.size === 0) events();
    else socket();
  };
  const socket = () => {
    const address = new URL("/api/v1/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const ws = new WebSocket(address);
    end = () => ws.close();
    ws.onopen = () => {
      tries = 0;
      feed.state.value = "open";
    };
    ws.onmessage = (event) => take(String(event.data));
    ws.onclose = again;
  };
  const events = () => {
    const source = new EventSource("/api/v1/live.sse");
    end = () => source.close();
    source.onopen = () => (feed.state.value = "events");
    source.onmessage = (event) => take(String(event.data));
    source.onerror = () => {
      source.close();
      again();
    };
  };
  connect();
  return {
    ...feed,
    close: () => {
      closed = true;
      clearTimeout(timer);
      end();
    },
  };
}
