// The address is the state: what is shown can be bookmarked, sent to a colleague, and survives a reload.
//   #/suspicious/flow?date=2016-07-08&filter=10.0.0.5&selected=<record_id>
//   #/health

import { signal } from "@preact/signals";
import { isDay } from "../text/time";

export const SOURCES = ["flow", "dns", "proxy"] as const;
export type Source = (typeof SOURCES)[number];

export interface SuspiciousRoute {
  page: "suspicious";
  source: Source;
  /** Empty: the latest day that has scores. */
  date: string;
  filter: string;
  /** `record_id` of the open record, or empty. */
  selected: string;
  /** Column sorted by, with a leading `-` for descending; empty: by rank. */
  sort: string;
  /** One row per record instead of one per group. */
  flat: boolean;
}

export interface HealthRoute {
  page: "health";
}

export type Route = SuspiciousRoute | HealthRoute;

export function suspicious(source: Source, more: Partial<SuspiciousRoute> = {}): SuspiciousRoute {
  return { page: "suspicious", source, date: "", filter: "", selected: "", sort: "", flat: false, ...more };
}

function asSource(text: string | undefined): Source {
  return SOURCES.find((source) => source === text) ?? "flow";
}

/** Reads a fragment. What it does not know becomes the first page, never an error. */
export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const [page, name] = path.split("/").filter(Boolean);
  if (page === "health") return { page: "health" };
  const values = new URLSearchParams(query);
  const date = values.get("date") ?? "";
  return suspicious(asSource(name), {
    date: isDay(date) ? date : "",
    filter: values.get("filter") ?? "",
    selected: /^[0-9a-f]{32}$/.test(values.get("selected") ?? "") ? (values.get("selected") ?? "") : "",
    sort: /^-?[a-z_]+$/.test(values.get("sort") ?? "") ? (values.get("sort") ?? "") : "",
    flat: values.get("groups") === "off",
  });
}

/** The fragment of a route; `parse` gives the route back. */
export function format(route: Route): string {
  if (route.page === "health") return "#/health";
  const values = new URLSearchParams();
  if (route.date) values.set("date", route.date);
  if (route.filter) values.set("filter", route.filter);
  if (route.sort) values.set("sort", route.sort);
  if (route.flat) values.set("groups", "off");
  if (route.selected) values.set("selected", route.selected);
  const query = values.toString();
  return `#/suspicious/${route.source}${query ? `?${query}` : ""}`;
}

/** Apache Spot's addresses: the server sends `/files/ui/flow/suspicious.html` to `/?spot=flow`, the browser keeps the
    fragment `date=2016-07-08|filter=text`. Undefined if this is no such address. */
export function fromSpot(search: string, hash: string): Route | undefined {
  const source = new URLSearchParams(search).get("spot");
  if (source === null) return undefined;
  const values = new Map<string, string>();
  for (const part of hash.replace(/^#/, "").split("|")) {
    const at = part.indexOf("=");
    if (at > 0) values.set(part.slice(0, at), safeDecode(part.slice(at + 1)));
  }
  const date = values.get("date") ?? "";
  return suspicious(asSource(source), { date: isDay(date) ? date : "", filter: values.get("filter") ?? "" });
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where we are. */
export const route = signal<Route>(parse(""));

/** Goes to another view. `replace` leaves no step behind: for selections, which the back button should not replay. */
export function go(to: Route, how: "push" | "replace" = "push"): void {
  const hash = format(to);
  if (hash !== location.hash) {
    if (how === "push") history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }
  route.value = to;
}

/** Changes some of the suspicious page's state. */
export function change(patch: Partial<SuspiciousRoute>, how: "push" | "replace" = "push"): void {
  const now = route.value;
  if (now.page === "suspicious") go({ ...now, ...patch }, how);
}

/** Reads the address now and whenever it changes. */
export function followAddress(): void {
  const old = fromSpot(location.search, location.hash);
  if (old) history.replaceState(null, "", `/${format(old)}`);
  const read = () => {
    route.value = parse(location.hash);
  };
  window.addEventListener("popstate", read);
  window.addEventListener("hashchange", read);
  read();
}
