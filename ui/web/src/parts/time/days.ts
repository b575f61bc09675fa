// The days that have records; and which of them is shown when the address names none.

import { signal } from "@preact/signals";
import { type ApiError, asApiError, get } from "../../api/client";
import type { Day } from "../../api/types";
import type { Source } from "../../text/source";
import { stamp } from "../../text/time";

export const days = signal<Day[] | undefined>(undefined);
export const daysError = signal<ApiError | undefined>(undefined);

export async function loadDays(): Promise<void> {
  try {
    days.value = (await get("/api/v1/days", {})).days;
    daysError.value = undefined;
  } catch (error) {
    daysError.value = asApiError(error);
  }
}

/** Days with records of a source, or of any; latest first. */
export function recorded(all: readonly Day[], source?: Source): Day[] {
  return all.filter((day) => (source ? day[source].rows : day.flow.rows + day.dns.rows + day.proxy.rows) > 0);
}

/** From the first moment of a day up to the next one. */
export function dayRange(date: string): { from: string; to: string } {
  return { from: `${date}T00:00:00Z`, to: stamp(new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000)) };
}

/** The latest day with scores of the source, else the latest with records of it, else the latest at all. */
export function latest(all: readonly Day[], source: Source): string {
  return (all.find((day) => day[source].scored) ?? all.find((day) => day[source].rows > 0) ?? all[0])?.date ?? "";
}

/** The day with records of the source before (−1) or after (+1) `date`. Days are sorted latest first. */
export function neighbour(all: readonly Day[], source: Source, date: string, step: 1 | -1): string | undefined {
  const having = recorded(all, source);
  if (step < 0) return having.find((day) => day.date < date)?.date;
  return having.findLast((day) => day.date > date)?.date;
}
