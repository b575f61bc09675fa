// Apache Spot's addresses. The server sends `/files/ui/flow/suspicious.html` to `/?spot=flow&page=suspicious`; the browser
// keeps the fragment: `date=2016-07-08|filter=text`, on the ingest page `start-date=…|end-date=…|pipeline=flow`.

import { literal } from "../parts/value/compose";
import { isDay } from "../text/time";
import type { At } from "./route";

const SOURCES = ["flow", "dns", "proxy"];
const DAY = 86_400_000;

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Name and value of each part of Spot's fragment. */
function parts(hash: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const part of hash.replace(/^#/, "").split("|")) {
    const at = part.indexOf("=");
    if (at > 0) values.set(part.slice(0, at), decode(part.slice(at + 1)));
  }
  return values;
}

/** Where an old address leads; undefined if it is none. */
export function fromSpot(search: string, hash: string): At | undefined {
  const query = new URLSearchParams(search);
  const asked = query.get("spot");
  if (asked === null) return undefined;
  const values = parts(hash);
  const day = (name: string) => {
    const text = values.get(name) ?? "";
    return isDay(text) ? text : "";
  };
  const source = SOURCES.includes(asked) ? asked : "flow";
  const date = day("date");
  switch (query.get("page")) {
    case "threat-investigation":
      return at("investigate", [source], { date });
    case "storyboard":
      return at("storyboard", [source], { date });
    case "ingest-summary": {
      const pipeline = values.get("pipeline") ?? "";
      const [from, last] = [day("start-date"), day("end-date")];
      // Spot's end is a day that still counts; ours is the moment after it.
      const to = last && new Date(Date.parse(`${last}T00:00:00Z`) + DAY).toISOString().slice(0, 10);
      return at("ingest", SOURCES.includes(pipeline) ? [pipeline] : [], { from: from && `${from}T00:00:00Z`, to: to && `${to}T00:00:00Z` });
    }
    default:
      return at("suspicious", [source], { date, filter: queryOf(values.get("filter") ?? "") });
  }
}

/** Spot's box took one address, name or URI; ours a query: what is no plain word is quoted. */
const queryOf = (text: string): string => (text.trim() === "" ? "" : literal(text.trim()));

function at(page: string, path: string[], params: Record<string, string>): At {
  return { page, path, params: Object.fromEntries(Object.entries(params).filter(([, value]) => value !== "")) };
}
