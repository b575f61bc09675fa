// What the suspicious page shows, as its address says it.

import { type At, change, format } from "../../app/route";
import { asSource, type Source } from "../../text/source";
import { isDay } from "../../text/time";

/** Which rows by what was said of them: nobody said anything, rated, ruled on, all. */
export const SHOWS = ["open", "rated", "ruled", "all"] as const;
export type Shows = (typeof SHOWS)[number];

export interface View {
  source: Source;
  /** Empty: the latest day that has scores. */
  date: string;
  /** A query. */
  filter: string;
  /** `record_id` of the open record, or empty. */
  selected: string;
  /** Column sorted by, with a leading `-` for descending; empty: by rank. */
  sort: string;
  /** One row per record instead of one per group. */
  flat: boolean;
  /** Columns chosen, in order, or empty for the standard ones. */
  cols: string;
  shows: Shows;
  /** The picture beside the table. */
  graph: boolean;
  /** Nodes that the picture leaves out, set apart by spaces. */
  hide: string;
  /** What the details show beside the explanation. */
  tab: Tab;
  /** The address whose surroundings the details draw; empty: the judged host of the open record. */
  anchor: string;
}

export const TABS = ["raw", "around", "all"] as const;
export type Tab = (typeof TABS)[number];

const matching = (text: string | undefined, pattern: RegExp): string => (text !== undefined && pattern.test(text) ? text : "");

/** Reads an address. What is not understood is as if it were not there. */
export function viewOf({ path, params }: At): View {
  const date = params["date"] ?? "";
  return {
    source: asSource(path[0]),
    date: isDay(date) ? date : "",
    filter: params["filter"] ?? "",
    selected: matching(params["selected"], /^[0-9a-f]{32}$/),
    sort: matching(params["sort"], /^-?[a-z_]+$/),
    flat: params["groups"] === "off",
    cols: matching(params["cols"], /^[a-z_,]+$/),
    shows: SHOWS.find((one) => one === params["show"]) ?? "open",
    graph: params["graph"] === "on",
    hide: params["hide"] ?? "",
    tab: TABS.find((one) => one === params["tab"]) ?? "raw",
    anchor: params["anchor"] ?? "",
  };
}

/** The parameters of a part of a view. */
export function paramsOf({ date, filter, selected, sort, flat, cols, shows, graph, hide, tab, anchor }: Partial<Omit<View, "source">>): Record<string, string> {
  const params: Record<string, string> = {};
  if (date !== undefined) params["date"] = date;
  if (filter !== undefined) params["filter"] = filter;
  if (sort !== undefined) params["sort"] = sort;
  if (flat !== undefined) params["groups"] = flat ? "off" : "";
  if (cols !== undefined) params["cols"] = cols;
  if (shows !== undefined) params["show"] = shows === "open" ? "" : shows;
  if (graph !== undefined) params["graph"] = graph ? "on" : "";
  if (hide !== undefined) params["hide"] = hide;
  if (tab !== undefined) params["tab"] = tab === "raw" ? "" : tab;
  if (anchor !== undefined) params["anchor"] = anchor;
  if (selected !== undefined) params["selected"] = selected;
  return params;
}

/** Changes a part of what is shown. */
export function show(patch: Partial<Omit<View, "source">>, how: "push" | "replace" = "push"): void {
  change(paramsOf(patch), how);
}

/** The address of a view. */
export function addressOf(view: View): string {
  return format({ page: "suspicious", path: [view.source], params: paramsOf(view) });
}

/** Address of the list that is shown, as a file of a format. */
export function exportHref(at: View, date: string, kind: string): string {
  const wanted = { format: kind, date, filter: at.filter, sort: at.sort, groups: at.flat ? "off" : "on", show: at.shows };
  return `/api/v1/export/suspicious/${at.source}?${new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ""))}`;
}
