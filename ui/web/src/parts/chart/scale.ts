// Round steps for axes, and times on them.

import { ahead, stamp } from "../../text/time";

/** Round values from 0 to at least `most`, about `count` of them. */
export function ticks(most: number, count = 4): number[] {
  if (!(most > 0)) return [0];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough) ?? rough;
  const out = [];
  for (let value = 0; value < most + step * 0.999; value += step) out.push(value);
  return out;
}

const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400];

export interface TimeTick {
  /** Unix seconds. */
  at: number;
  label: string;
}

/** Round times between two moments (Unix seconds), in the zone that is shown, at most `count`. */
export function timeTicks(from: number, to: number, count: number): TimeTick[] {
  const step = STEPS.find((value) => (to - from) / value <= count) ?? (to - from) / count;
  // Ticks are round in the zone that is shown; the offset at the start serves for all of them.
  const offset = ahead(new Date(from * 1000)) * 60;
  const out: TimeTick[] = [];
  for (let at = Math.ceil((from + offset) / step) * step - offset; at <= to && out.length <= count + 1; at += step) {
    const text = stamp(new Date((at + offset) * 1000));
    const midnight = text.slice(11, 19) === "00:00:00";
    out.push({ at, label: step >= 86_400 || midnight ? text.slice(5, 10) : step < 60 ? text.slice(11, 19) : text.slice(11, 16) });
  }
  return out;
}
