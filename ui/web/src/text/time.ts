// Times come from the server as RFC 3339 in UTC with microseconds and are shown in UTC, always with the zone named
// in the column head. They are cut as text: a Date would lose the microseconds.

/** "2016-07-08T10:15:01.123456Z" → "10:15:01.123" */
export function clock(time: string): string {
  return time.slice(11, 23);
}

/** → "2016-07-08 10:15:01.123456 UTC" */
export function exact(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11).replace(/Z$/, "")} UTC`;
}

/** → "2016-07-08 10:15 UTC" */
export function minute(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}

/** Seconds as "950 ms", "12.3 s", "4 min 5 s", "3 h 12 min". */
export function duration(seconds: number): string {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
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
