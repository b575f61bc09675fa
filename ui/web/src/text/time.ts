// Times come from the server as RFC 3339 in UTC with microseconds. They are shown in UTC or in the browser's zone, as
// the display setting says, always with the offset beside them or in the column's head. The fraction is cut as text: a
// Date would lose the microseconds.

import { zone } from "../app/settings";

const two = (value: number) => String(value).padStart(2, "0");

interface Parts {
  day: string;
  /** `10:15:01` */
  clock: string;
  /** `.123456`, or nothing. */
  fraction: string;
  offset: string;
}

/** "UTC", "UTC+02:00": this browser's offset at a moment. */
export function zoneOffset(at: Date): string {
  const minutes = -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The zone that times are shown in, as of now: "UTC", "UTC+02:00". */
export function zoneLabel(): string {
  return zone.value === "utc" ? "UTC" : zoneOffset(new Date());
}

function split(time: string): Parts {
  const fraction = /\.\d+/.exec(time)?.[0] ?? "";
  if (zone.value === "utc") return { day: time.slice(0, 10), clock: time.slice(11, 19), fraction, offset: "UTC" };
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return { day: time.slice(0, 10), clock: time.slice(11, 19), fraction, offset: "UTC" };
  return {
    day: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    clock: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
    fraction,
    offset: zoneOffset(at),
  };
}

/** "2016-07-08T10:15:01.123456Z" → "10:15:01.123" */
export function clock(time: string): string {
  const parts = split(time);
  return parts.clock + parts.fraction.slice(0, 4);
}

/** → "2016-07-08 10:15:01.123456 UTC" */
export function exact(time: string): string {
  const parts = split(time);
  return `${parts.day} ${parts.clock}${parts.fraction} ${parts.offset}`;
}

/** Both zones, for a tooltip: UTC first. */
export function both(time: string): string {
  const utc = `${time.slice(0, 10)} ${time.slice(11).replace(/Z$/, "")} UTC`;
  return zone.value === "utc" ? utc : `${utc}\n${exact(time)}`;
}

/** → "2016-07-08 10:15:01.123", where the zone stands beside it. */
export function dated(time: string): string {
  return `${split(time).day} ${clock(time)}`;
}

/** → "2016-07-08 10:15 UTC" */
export function minute(time: string): string {
  const parts = split(time);
  return `${parts.day} ${parts.clock.slice(0, 5)} ${parts.offset}`;
}

/** Seconds as "950 ms", "12.3 s", "4 min 5 s", "3 h 12 min". */
export function duration(seconds: number): string {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const [large, small] = whole < 3600 ? [`${Math.floor(whole / 60)} min`, `${whole % 60} s`] : [`${Math.floor(whole / 3600)} h`, `${Math.floor((whole % 3600) / 60)} min`];
  return small.startsWith("0 ") ? large : `${large} ${small}`;
}

/** Seconds between two server times. */
export function between(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** Is this the text of a real day? */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** A moment as addresses and the API have it: whole seconds, UTC. */
export function stamp(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, "Z");
}

/** Reads what a person types: "2016-07-08", "2016-07-08 10:15[:01]" in the zone that is shown, or RFC 3339 with its
    own offset. Undefined if it is no time. */
export function readMoment(text: string): Date | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?(Z|[+-]\d{2}:\d{2})?$/i.exec(text.trim());
  if (!match) return undefined;
  const [, year, month, day, hour = "00", minute = "00", second = "00", offset] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59 || !isDay(`${year}-${month}-${day}`)) return undefined;
  const local = offset === undefined && zone.value === "local";
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${local ? "" : (offset ?? "Z").toUpperCase()}`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}
