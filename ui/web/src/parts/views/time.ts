// The time of a saved view: none (the time that is shown stays), absolute as in any address, or relative: `ago`, days
// before the latest that has records, or `last`, seconds up to the end of the records. Opened, a relative time becomes an
// absolute one.

import { me } from "../../app/me";
import { parse } from "../../app/route";
import { asSource } from "../../text/source";
import { stamp } from "../../text/time";
import { dayRange, days, latest, recorded } from "../time/days";

/** Parameters of an address that say its time. */
export const TIMES = ["date", "from", "to"];

/** The end of the last day with records. */
export function endOfRecords(): number | undefined {
  const last = days.value && recorded(days.value)[0];
  return last ? Date.parse(dayRange(last.date).to) : undefined;
}

/** Days with records of the page's source, those with scores if there are any; latest first. */
export function listed(source: string): string[] {
  const all = days.value ?? [];
  const from = latest(all, asSource(source));
  return recorded(all, asSource(source)).map((day) => day.date).filter((date) => date <= from);
}

/** The parameters of a view that is opened now; `source` of a suspicious page. `at`: what follows the page in its path. */
export function opened(query: string, source = ""): Record<string, string> {
  const { ago, last, ...params } = parse(`#/x?${query}`).params as Record<string, string>;
  if (ago !== undefined) {
    const date = listed(source)[Number(ago)];
    // The page knows what is latest.
    if (date) params["date"] = date;
  }
  const end = endOfRecords();
  if (last !== undefined && end !== undefined) {
    params["from"] = stamp(new Date(end - Number(last) * 1000));
    params["to"] = stamp(new Date(end));
  }
  return params;
}

/** What links to a page of one thing begin with for whoever is signed in: its chosen view, but for its time and its subject. */
export function begun(page: string): Record<string, string> {
  const view = me.value?.views.find((one) => one.page === page);
  const { at: _at, subject: _subject, ...params } = view ? opened(view.query) : {};
  return Object.fromEntries(Object.entries(params).filter(([name]) => !TIMES.includes(name)));
}
