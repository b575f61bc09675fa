// Timeline: a line for each of the leading peers, a mark for each moment it was seen. The wheel zooms around the pointer,
// a drag moves, a double press shows all of it; with the keyboard + and −, ← and →, 0.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Board } from "../../api/types";
import { useMirror } from "../../app/param";
import { Chart } from "../../parts/chart/Chart";
import { timeTicks } from "../../parts/chart/scale";
import { useWidth } from "../../parts/chart/useWidth";
import { entityHref, WAYS } from "../../parts/subject/links";
import type { Range } from "../../parts/time/RangePicker";
import { escapeText } from "../../text/hostile";
import { minute, stamp } from "../../text/time";
import { count } from "../../text/units";

const ROW = 24;
const LABEL = 210;
const RIGHT = 14;
/** A view that has been moved is in the address after so many ms. */
const REST = 300;
/** Marks closer than this, px, are one. */
const CLOSE = 7;
const TONES = { in: "s2", out: "s1", two_way: "s4" } as const;

interface Mark {
  x: number;
  count: number;
  from: number;
  to: number;
}

export function Drops({ board, range }: { board: Board; range: Range }) {
  const whole = { from: Date.parse(board.from) / 1000, to: Date.parse(board.to) / 1000 };
  const [view, setView] = useState(whole);
  useMirror(
    "seen",
    view.from === whole.from && view.to === whole.to ? "" : `${Math.round(view.from)}-${Math.round(view.to)}`,
    (text) => {
      const [from = 0, to = 0] = /^\d+-\d+$/.test(text) ? text.split("-").map(Number) : [];
      setView(from < to && from >= whole.from && to <= whole.to ? { from, to } : whole);
    },
    REST,
  );
  const { box, width } = useWidth(900);
  const svg = useRef<SVGSVGElement>(null);
  const dragged = useRef<number>(undefined);
  const inner = Math.max(60, width - LABEL - RIGHT);
  const x = (at: number) => LABEL + (inner * (at - view.from)) / (view.to - view.from);
  const height = board.drops.length * ROW + 30;

  const zoom = (factor: number, around: number) => {
    setView(({ from, to }) => {
      const length = Math.min(whole.to - whole.from, Math.max(10, (to - from) * factor));
      const share = (around - from) / (to - from);
      const start = Math.min(whole.to - length, Math.max(whole.from, around - share * length));
      return { from: start, to: start + length };
    });
  };
  const move = (by: number) => {
    setView(({ from, to }) => {
      const start = Math.min(whole.to - (to - from), Math.max(whole.from, from + by));
      return { from: start, to: start + (to - from) };
    });
  };
  const timeAt = (clientX: number) => {
    const left = svg.current?.getBoundingClientRect().left ?? 0;
    return view.from + ((clientX - left - LABEL) / inner) * (view.to - view.from);
  };
  // The browser's own wheel listener would be passive, and the page would scroll along.
  const wheel = useRef<(event: WheelEvent) => void>(undefined);
  wheel.current = (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX));
  };
  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const listener = (event: WheelEvent) => wheel.current?.(event);
    element.addEventListener("wheel", listener, { passive: false });
    return () => element.removeEventListener("wheel", listener);
  }, [board.drops.length > 0]);

  if (board.drops.length === 0) return null;
  const clusters = board.drops.map((drop) => {
    const marks: Mark[] = [];
    drop.times.forEach((time, index) => {
      if (time < view.from || time > view.to) return;
      const at = x(time);
      const last = marks.at(-1);
      const many = drop.counts[index] ?? 1;
      if (last && at - last.x < CLOSE) {
        last.count += many;
        last.to = time;
      } else marks.push({ x: at, count: many, from: time, to: time });
    });
    return marks;
  });
  const most = Math.max(1, ...clusters.flat().map((mark) => mark.count));
  const clock = (at: number) => minute(stamp(new Date(at * 1000)));
  return (
    <Chart
      class="frame wide-frame"
      title="Timeline"
      summary={`When each of ${board.drops.length} peers was seen, ${minute(board.from)} to ${minute(board.to)}.`}
      twin={{
        columns: ["Peer", "Way", "Most used", "Time", "Records"],
        rows: board.drops.flatMap((drop) => drop.times.map((time, index) => [drop.name, WAYS[drop.way], drop.most, clock(time), drop.counts[index] ?? 0])),
      }}
      tools={
        <>
          <button type="button" class="small" aria-label="Zoom in" onClick={() => zoom(0.5, (view.from + view.to) / 2)}>
            +
          </button>
          <button type="button" class="small" aria-label="Zoom out" onClick={() => zoom(2, (view.from + view.to) / 2)}>
            −
          </button>
          <button type="button" class="small" onClick={() => setView(whole)}>
            All
          </button>
        </>
      }
    >
      <div ref={box} class="drops">
        <svg
          ref={svg}
          width={width}
          height={height}
          tabindex={0}
          role="application"
          aria-label="Timeline. Plus and minus zoom, arrows move, 0 shows all of it."
          onPointerDown={(event) => {
            dragged.current = event.clientX;
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => {
            if (dragged.current === undefined) return;
            move(((dragged.current - event.clientX) / inner) * (view.to - view.from));
            dragged.current = event.clientX;
          }}
          onPointerUp={() => (dragged.current = undefined)}
          onDblClick={() => setView(whole)}
          onKeyDown={(event) => {
            const middle = (view.from + view.to) / 2;
            const step = (view.to - view.from) / 8;
            const keys: Record<string, () => void> = { "+": () => zoom(0.6, middle), "-": () => zoom(1.6, middle), ArrowLeft: () => move(-step), ArrowRight: () => move(step), "0": () => setView(whole) };
            const act = keys[event.key];
            if (!act) return;
            event.preventDefault();
            event.stopPropagation();
            act();
          }}
        >
          {timeTicks(view.from, view.to, Math.max(2, Math.floor(inner / 90))).map((tick) => (
            <g key={tick.at}>
              <line class="rule" x1={x(tick.at)} x2={x(tick.at)} y1={0} y2={height - 24} />
              <text class="tick" x={x(tick.at)} y={height - 8} text-anchor="middle">
                {tick.label}
              </text>
            </g>
          ))}
          {board.drops.map((drop, row) => (
            <g key={drop.name} class={TONES[drop.way]}>
              <line class="rule" x1={LABEL} x2={width - RIGHT} y1={row * ROW + ROW / 2} y2={row * ROW + ROW / 2} />
              {(clusters[row] ?? []).map((mark) => (
                <circle key={mark.from} class="dot" cx={mark.x} cy={row * ROW + ROW / 2} r={2.5 + 6 * Math.sqrt(Math.log1p(mark.count) / Math.log1p(most))} fill-opacity={0.75}>
                  <title>{`${escapeText(drop.name, 200)} ${WAYS[drop.way].toLowerCase()}\n${clock(mark.from)}${mark.to > mark.from ? ` – ${clock(mark.to)}` : ""}: ${count(mark.count)} records\nmost used: ${escapeText(drop.most, 60)}`}</title>
                </circle>
              ))}
            </g>
          ))}
          <rect class="ground" x={0} y={0} width={LABEL - 6} height={height} />
          {board.drops.map((drop, row) => (
            <a key={drop.name} href={entityHref(drop.name, range)}>
              <text class="label" x={LABEL - 12} y={row * ROW + ROW / 2 + 4} text-anchor="end">
                {escapeText(drop.name, 26)} <tspan class="size">{escapeText(drop.most, 10)}</tspan>
              </text>
            </a>
          ))}
        </svg>
      </div>
    </Chart>
  );
}
