// Times come from the server as RFC 3339 in UTC with microseconds. They are shown in UTC, in the browser's zone or in a
// chosen one, as the display setting says, always with the offset beside them or in the column's head. The fraction is cut as text: a
// Date would lose the microseconds.

import { shownZone } from "../app/settings";

const two = (value: number) => String(value).padStart(2, "0");

interface Parts {
  day: string;
  /** `10:15:01` */
  clock: string;
  /** `.123456`, or nothing. */
  fraction: string;
  offset: string;
}

const offsets = new Map<string, Intl.DateTimeFormat>();

/** Minutes that a zone (the one that is shown) is ahead of UTC at a moment. */
export function ahead(at: Date, name = shownZone.value): number {
  if (name === "utc") return 0;
  if (name === "local") return -at.getTimezoneOffset();
  let format = offsets.get(name);
  if (!format) offsets.set(name, (format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" })));
  const [, sign, hours, minutes] = /GMT([+-])(\d+):(\d+)/.exec(format.format(at)) ?? [];
  return sign ? (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1) : 0;
}

/** "UTC", "UTC+02:00": the offset of a zone (the one that is shown) at a moment. */
export function zoneOffset(at: Date, name?: string): string {
  const minutes = ahead(at, name);
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The zone that times are shown in: "UTC", "UTC+05:30", or its name where the offset changes over the year. */
export function zoneLabel(): string {
  const now = new Date();
  const [winter, summer] = [0, 6].map((month) => ahead(new Date(now.getFullYear(), month, 1)));
  if (winter === summer) return zoneOffset(now);
  return shownZone.value === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : shownZone.value;
}

function split(time: string): Parts {
  const fraction = /\.\d+/.exec(time)?.[0] ?? "";
  const at = new Date(time);
  const isTime = shownZone.value !== "utc" && !Number.isNaN(at.getTime());
  const text = isTime ? new Date(at.getTime() + ahead(at) * 60_000).toISOString() : time;
  return { day: text.slice(0, 10), clock: text.slice(11, 19), fraction, offset: isTime ? zoneOffset(at) : "UTC" };
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
  return shownZone.value === "utc" ? utc : `${utc}\n${exact(time)}`;
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
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${(offset ?? "Z").toUpperCase()}`);
  if (Number.isNaN(at.getTime())) return undefined;
  if (offset) return at;
  // The offset is that of the moment meant, which is known by its offset: near enough at first, then exact.
  const near = new Date(at.getTime() - ahead(at) * 60_000);
  return new Date(at.getTime() - ahead(near) * 60_000);
}
