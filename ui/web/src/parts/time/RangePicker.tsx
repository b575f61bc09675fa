// A time range: from, up to and without to. Typed in the zone that is shown, or taken from a list; what is chosen is
// absolute at once, so that a link shows the same tomorrow.

import { useState } from "preact/hooks";
import { minute, readMoment, stamp, zoneLabel } from "../../text/time";
import { Popover } from "../Popover";

export interface Range {
  /** RFC 3339, UTC. */
  from: string;
  to: string;
}

const HOUR = 3_600_000;
const LAST: readonly (readonly [string, number])[] = [
  ["Last hour", HOUR],
  ["Last 24 hours", 24 * HOUR],
  ["Last 7 days", 7 * 24 * HOUR],
  ["Last 30 days", 30 * 24 * HOUR],
];

/** The range of that length up to `now`. */
export function lastRange(now: Date, length: number): Range {
  return { from: stamp(new Date(now.getTime() - length)), to: stamp(now) };
}

/** The same length, one length earlier (−1) or later (+1). */
export function shift({ from, to }: Range, step: 1 | -1): Range {
  const length = Date.parse(to) - Date.parse(from);
  const move = (time: string) => stamp(new Date(Date.parse(time) + step * length));
  return { from: move(from), to: move(to) };
}

interface Props {
  range: Range;
  onPick: (range: Range) => void;
  /** End of what there is to see; now if left out. Presets end there: a lake of last year has no last hour of today. */
  end?: string | undefined;
}

export function RangePicker({ range, onPick, end }: Props) {
  const text = `${minute(range.from)} – ${minute(range.to)}`;
  return (
    <div class="range">
      <button type="button" class="step" aria-label="Earlier" title="The same length, earlier" onClick={() => onPick(shift(range, -1))}>
        ‹
      </button>
      <Popover label={`Time range ${text}`} sign={<span class="num">{text}</span>}>
        {(close) => (
          <Editor
            range={range}
            end={end}
            onPick={(next) => {
              close();
              onPick(next);
            }}
          />
        )}
      </Popover>
      <button type="button" class="step" aria-label="Later" title="The same length, later" onClick={() => onPick(shift(range, 1))}>
        ›
      </button>
    </div>
  );
}

const shown = (time: string) => minute(time).split(" ").slice(0, 2).join(" ");

function Editor({ range, onPick, end }: Props) {
  const [from, setFrom] = useState(shown(range.from));
  const [to, setTo] = useState(shown(range.to));
  const read = { from: readMoment(from), to: readMoment(to) };
  const wrong = !read.from || !read.to ? "Write a time like 2016-07-08 10:15." : read.from >= read.to ? "The range ends before it starts." : "";
  return (
    <form
      class="range-editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong && read.from && read.to) onPick({ from: stamp(read.from), to: stamp(read.to) });
      }}
    >
      <div class="presets">
        {LAST.map(([label, length]) => (
          <button key={label} type="button" onClick={() => onPick(lastRange(end ? new Date(end) : new Date(), length))}>
            {label}
          </button>
        ))}
      </div>
      <label>
        From
        <input value={from} spellcheck={false} aria-invalid={!read.from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label>
        To
        <input value={to} spellcheck={false} aria-invalid={!read.to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <p class="quiet" role="status">
        {wrong || `Times in ${zoneLabel()}.`}
      </p>
      <button type="submit" class="primary" disabled={wrong !== ""}>
        Apply
      </button>
    </form>
  );
}
