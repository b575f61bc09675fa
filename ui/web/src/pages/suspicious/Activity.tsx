// The day at a glance: records per five minutes, and above them where the listed records lie. A gap is a gap in the data.

import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";
import { href } from "../../app/route";
import { dayRange } from "../../parts/time/days";
import type { Ingest } from "../../api/types";
import type { Source } from "../../text/source";
import { band, count } from "../../text/units";
import type { Line } from "./list";

const MINUTES = 1440;
/** Minutes of a bar. */
const STEP = 5;
const HEIGHT = 22;

/** Bars from counts per minute: heights as shares of the highest, by square root so that a peak does not flatten the rest. */
export function bars(perMinute: readonly number[]): number[] {
  const sums = Array.from({ length: MINUTES / STEP }, (_, at) => perMinute.slice(at * STEP, at * STEP + STEP).reduce((a, b) => a + b, 0));
  const most = Math.max(1, ...sums);
  return sums.map((sum) => (sum === 0 ? 0 : Math.max(0.06, Math.sqrt(sum / most))));
}

/** Minute of the day of a server's time. */
export function minuteOf(time: string): number {
  return Number(time.slice(11, 13)) * 60 + Number(time.slice(14, 16));
}

export function Activity({ source, date, lines, selected }: { source: Source; date: string; lines: readonly Line[]; selected: string }) {
  const [ingest, set] = useState<Ingest>();
  useEffect(() => {
    const abort = new AbortController();
    // The strip is an extra: where it cannot be had the page goes on without it.
    get("/api/v1/ingest/{source}", { source, date }, abort.signal).then(set, () => set(undefined));
    return () => abort.abort();
  }, [source, date]);
  const here = ingest?.source === source && ingest.date === date ? ingest : undefined;
  const path = here ? bars(here.per_minute).map((height, at) => (height ? `M${at * STEP} ${HEIGHT}v${-(height * HEIGHT).toFixed(1)}h${STEP - 1}V${HEIGHT}z` : "")).join("") : "";
  const tones = { extreme: "", high: "", raised: "", usual: "" };
  for (const { row } of lines.slice(0, 1000)) tones[band(row.standing.percentile)] += `M${minuteOf(row.first_seen) + 0.5} 0v5`;
  const chosen = lines.find((line) => line.row.record_id === selected);
  return (
    <figure class="activity">
      <a class="twin-link" href={href("ingest", [source], dayRange(date))} title="The records over this day, as a chart with its table">
        Table
      </a>
      <svg
        viewBox={`0 0 ${MINUTES} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={here ? `${count(here.total)} ${source} records on ${date}, over the hours of the day in UTC` : `Records over the day`}
      >
        <path d={path} class="bars" />
        {(["usual", "raised", "high", "extreme"] as const).map((tone) => (
          <path key={tone} d={tones[tone]} class={`ticks ${tone}`} />
        ))}
        {chosen ? <path d={`M${minuteOf(chosen.row.first_seen) + 0.5} 0V${HEIGHT}`} class="chosen" /> : null}
      </svg>
      <figcaption aria-hidden="true">
        {["00", "03", "06", "09", "12", "15", "18", "21"].map((hour, at) => (
          <span key={hour}>
            {hour}:00{at ? "" : " UTC"}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
