// The address is the state: what is shown can be bookmarked, sent to a colleague, and survives a reload.
//   #/suspicious/flow?v=1&date=2016-07-08&filter=src_ip%20%3D%3D%2010.0.0.5&selected=<record_id>
//   #/health?v=1
// `v` is the version of the meaning of what follows. Times in an address are absolute, in UTC. A page reads its own
// path and parameters; what it does not know it leaves alone.

import { signal } from "@preact/signals";
import { fromSpot } from "./spot";

/** Version of the addresses this application writes. Older ones are understood for ever. */
export const VERSION = 1;
/** Where one lands without an address. */
export const FIRST: At = { page: "suspicious", path: ["flow"], params: {} };

/** Where we are: a page of the registry, what follows it in the path, and its parameters. */
export interface At {
  page: string;
  path: readonly string[];
  params: Readonly<Record<string, string>>;
}

/** The address of a link is of a version this application does not know. */
export const tooNew = signal(false);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Reads a fragment. An empty one is the first page. */
export function parse(hash: string): At & { version: number } {
  const [path = "", query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const [page, ...rest] = path.split("/").filter(Boolean).map(decode);
  const params: Record<string, string> = {};
  let version = VERSION;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "v") version = /^\d{1,6}$/.test(value) ? Number(value) : VERSION;
    else if (value !== "") params[name] = value;
  }
  return page === undefined ? { ...FIRST, version } : { page, path: rest, params, version };
}

/** The fragment of a place; `parse` gives the place back. */
export function format({ page, path, params }: At): string {
  const values = new URLSearchParams({ v: String(VERSION) });
  for (const [name, value] of Object.entries(params)) if (value !== "" && name !== "v") values.set(name, value);
  return `#/${[page, ...path].map(encodeURIComponent).join("/")}?${values}`;
}

/** An address within the application, for a link. Empty parameters are left out. */
export function href(page: string, path: readonly string[] = [], params: Record<string, string | undefined> = {}): string {
  return format({ page, path, params: given(params) });
}

function given(params: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

export const route = signal<At>(FIRST);

/** Goes to another place. `replace` leaves no step behind: for selections, which the back button should not replay. */
export function go(to: At, how: "push" | "replace" = "push"): void {
  const hash = format(to);
  if (hash !== location.hash) {
    if (how === "push") history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }
  tooNew.value = false;
  route.value = { ...to, params: given(to.params) };
}

/** Changes some parameters of the page that is shown; an empty value takes one away. */
export function change(patch: Record<string, string | undefined>, how: "push" | "replace" = "push"): void {
  const now = route.value;
  go({ ...now, params: given({ ...now.params, ...patch }) }, how);
}

/** Reads the address now and whenever it changes. */
export function followAddress(): void {
  const old = fromSpot(location.search, location.hash);
  if (old) history.replaceState(null, "", `/${format(old)}`);
  const read = () => {
    const { version, ...at } = parse(location.hash);
    tooNew.value = version > VERSION;
    route.value = at;
  };
  window.addEventListener("popstate", read);
  window.addEventListener("hashchange", read);
  read();
}
