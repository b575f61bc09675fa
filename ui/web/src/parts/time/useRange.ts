// The time range of a page: what the address says, else the last days that have records.

import { useEffect } from "preact/hooks";
import type { At } from "../../app/route";
import { isDay, stamp } from "../../text/time";
import { days, loadDays } from "./days";
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
  const last = all?.find((day) => day.flow.rows + day.dns.rows + day.proxy.rows > 0)?.date;
  const end = last ? stamp(new Date(Date.parse(`${last}T00:00:00Z`) + DAY)) : undefined;
  const nothing = all !== undefined && last === undefined;
  const { from, to, date } = at.params;
  if (isTime(from) && isTime(to) && from < to) return { range: { from, to }, end, nothing: false };
  if (date && isDay(date)) return { range: day(date), end, nothing: false };
  if (!end) return { range: nothing ? lastDays(stamp(new Date()), length) : undefined, end, nothing };
  return { range: lastDays(end, length), end, nothing };
}

function day(date: string): Range {
  return lastDays(stamp(new Date(Date.parse(`${date}T00:00:00Z`) + DAY)), 1);
}

function lastDays(end: string, length: number): Range {
  return { from: stamp(new Date(Date.parse(end) - length * DAY)), to: end };
}
