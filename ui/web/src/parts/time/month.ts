// A month as a calendar shows it.

import type { Day } from "../../api/types";
import type { Source } from "../../text/source";

export interface Cell {
  date: string;
  number: number;
  rows: number;
  scored: boolean;
}

/** A month as weeks from Monday to Sunday; days of other months are undefined. `month` is `YYYY-MM`. */
export function monthGrid(all: readonly Day[], source: Source, month: string): (Cell | undefined)[][] {
  const start = new Date(`${month}-01T00:00:00Z`);
  const length = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 0)).getUTCDate();
  const cells: (Cell | undefined)[] = Array.from({ length: (start.getUTCDay() + 6) % 7 }, () => undefined);
  for (let number = 1; number <= length; number += 1) {
    const date = `${month}-${String(number).padStart(2, "0")}`;
    const day = all.find((other) => other.date === date);
    cells.push({ date, number, rows: day?.[source].rows ?? 0, scored: Boolean(day?.[source].scored) });
  }
  while (cells.length % 7) cells.push(undefined);
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
}

/** `2016-12` moved by months. */
export function moveMonth(month: string, step: number): string {
  const date = new Date(`${month}-01T00:00:00Z`);
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + step, 1)).toISOString().slice(0, 7);
}
