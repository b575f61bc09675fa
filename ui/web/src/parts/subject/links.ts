// Addresses of the pages about one thing.

import { href } from "../../app/route";
import { begun } from "../views/time";
import type { Range } from "../time/RangePicker";

export type Way = "in" | "out" | "two_way";

export const WAYS: Record<Way, string> = { in: "Inbound", out: "Outbound", two_way: "Two way" };

/** Is it an address, and no name? */
export const isAddress = (text: string) => /^[0-9.]+$/.test(text) || (text.includes(":") && /^[0-9a-f:.]+$/i.test(text));

/** The page that shows everything of a value. */
export function entityHref(value: string, range: Range): string {
  const page = isAddress(value) ? "ip" : "name";
  return href(page, [value], { ...begun(page), from: range.from, to: range.to });
}

export function investigateHref(subject: string, range: Range): string {
  return href("investigate", [], { ...begun("investigate"), subject, from: range.from, to: range.to });
}

/** `tcp/443` */
export function serviceHref(service: string, range: Range): string {
  const [proto = "tcp", port = ""] = service.split("/");
  return href("service", [proto, port], { ...begun("service"), from: range.from, to: range.to });
}

/** The page of a value of a top list, if it has one. */
export function valueHref(kind: string, value: string, range: Range): string | undefined {
  switch (kind) {
    case "address":
    case "name":
      return entityHref(value, range);
    case "service":
      return serviceHref(value, range);
    case "uri":
      return investigateHref(value, range);
    default:
      return undefined;
  }
}

/** Where an export of raw records is: all of them, or those that are flagged; in what order. */
export function exportHref(source: string, format: string, subject: string, range: Range, { flagged = false, order = "asc", filter = "" } = {}): string {
  const only = { ...(flagged ? { flagged: "true" } : {}), ...(order === "asc" ? {} : { order }), ...(filter ? { filter } : {}) };
  return `/api/v1/export/records/${source}?${new URLSearchParams({ format, subject, from: range.from, to: range.to, ...only })}`;
}
