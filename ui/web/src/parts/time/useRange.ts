// The time range of a page: what the address says, else the last days that have records.

import { useEffect } from "preact/hooks";
import { type At, change } from "../../app/route";
import { isDay, stamp } from "../../text/time";
import { dayRange, days, loadDays, recorded } from "./days";
import type { Range } from "./RangePicker";

const DAY = 86_400_000;

export interface Given {
  /** Undefined while it is not known which days there are. */
  range: Range | undefined;
  /** End of the last day with records: where "last 24 hours" ends. */
  end: string | undefined;
  /** There are no records at all. */
  nothing: boolean;
}

const isTime = (text: string | undefined): text is string => text !== undefined && /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));

/** `from` and `to` of the address, or its `date`, or the last `length` days of the records. */
export function useRange(at: At, length = 1): Given {
  useEffect(() => {
    if (!days.value) void loadDays();
  }, []);
  const all = days.value;
  const last = all && recorded(all)[0]?.date;
  const end = last && dayRange(last).to;
  const nothing = all !== undefined && last === undefined;
  const { from, to, date } = at.params;
  const said = (isTime(from) && isTime(to) && from < to) || (date !== undefined && isDay(date));
  // The last days of today are others tomorrow: the address says which are shown, so that it can be sent.
  useEffect(() => {
    if (end && !said) change({ ...lastDays(end, length) }, "replace");
  }, [end, said]);
  if (isTime(from) && isTime(to) && from < to) return { range: { from, to }, end, nothing: false };
  if (date && isDay(date)) return { range: dayRange(date), end, nothing: false };
  if (!end) return { range: nothing ? lastDays(stamp(new Date()), length) : undefined, end, nothing };
  return { range: lastDays(end, length), end, nothing };
}

function lastDays(end: string, length: number): Range {
  return { from: stamp(new Date(Date.parse(end) - length * DAY)), to: end };
}
