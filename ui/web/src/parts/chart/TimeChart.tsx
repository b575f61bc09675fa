// Values over equal steps of time: stacked bars or lines. Drag to zoom in, a double press to zoom out; with the keyboard
// ← and → move the reading line, + and − zoom around it. Stretches can be shaded: "not captured" is not zero.

import { useRef, useState } from "preact/hooks";
import { minute, stamp } from "../../text/time";
import { type TimeTick, ticks, timeTicks } from "./scale";
import { useWidth } from "./useWidth";

export interface Series {
  label: string;
  /** Class of its colour: `s1` to `s6`. */
  tone: string;
  values: readonly number[];
  /** Drawn below the line. */
  below?: boolean;
}

export interface Shade {
  /** First bucket, and one past the last. */
  from: number;
  to: number;
  class: string;
  label: string;
}

interface Props {
  /** Unix seconds of the first bucket. */
  start: number;
  /** Seconds of a bucket. */
  step: number;
  series: readonly Series[];
  shades?: readonly Shade[];
  kind?: "bars" | "lines";
  height?: number;
  format: (value: number) => string;
  /** A stretch was chosen: Unix seconds. */
  onZoom?: (from: number, to: number) => void;
  onZoomOut?: () => void;
}

const LEFT = 64;
const RIGHT = 12;
const TOP = 10;
const FOOT = 22;

export function TimeChart({ start, step, series, shades = [], kind = "bars", height = 190, format, onZoom, onZoomOut }: Props) {
  const { box, width } = useWidth();
  const [at, setAt] = useState<number>();
  const [drag, setDrag] = useState<[number, number]>();
  const svg = useRef<SVGSVGElement>(null);
  const buckets = Math.max(1, ...series.map((one) => one.values.length));
  const inner = Math.max(40, width - LEFT - RIGHT);
  const tall = height - TOP - FOOT;
  const above = series.filter((one) => !one.below);
  const below = series.filter((one) => one.below);
  const peak = (list: readonly Series[]) => {
    if (kind === "lines") return Math.max(0, ...list.map((one) => one.values.reduce((most, value) => Math.max(most, value), 0)));
    let most = 0;
    for (let index = 0; index < buckets; index += 1) most = Math.max(most, list.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
    return most;
  };
  const scale = ticks(Math.max(peak(above), below.length > 0 ? peak(below) : 0, 0), below.length > 0 ? 2 : 4);
  const most = scale.at(-1) || 1;
  const zero = TOP + (below.length > 0 ? tall / 2 : tall);
  const unit = (below.length > 0 ? tall / 2 : tall) / most;
  const x = (bucket: number) => LEFT + (inner * bucket) / buckets;
  const bucketOf = (clientX: number) => {
    const left = svg.current?.getBoundingClientRect().left ?? 0;
    return Math.max(0, Math.min(buckets - 1, Math.floor(((clientX - left - LEFT) / inner) * buckets)));
  };
  const zoom = (a: number, b: number) => {
    const [from, to] = a < b ? [a, b] : [b, a];
    onZoom?.(start + from * step, start + (to + 1) * step);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = at ?? Math.floor(buckets / 2);
    switch (event.key) {
      case "ArrowLeft":
        setAt(Math.max(0, now - 1));
        break;
      case "ArrowRight":
        setAt(Math.min(buckets - 1, now + 1));
        break;
      case "Home":
        setAt(0);
        break;
      case "End":
        setAt(buckets - 1);
        break;
      case "+":
        if (!onZoom) return;
        zoom(Math.max(0, now - Math.ceil(buckets / 4)), Math.min(buckets - 1, now + Math.ceil(buckets / 4)));
        break;
      case "-":
        if (!onZoomOut) return;
        onZoomOut();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const times: TimeTick[] = timeTicks(start, start + buckets * step, Math.max(2, Math.floor(inner / 90)));
  return (
    <div class="time-chart" ref={box}>
      <svg
        ref={svg}
        width={width}
        height={height}
        tabindex={0}
        role="slider"
        aria-label="Reading line"
        aria-valuemin={0}
        aria-valuemax={buckets - 1}
        aria-valuenow={at ?? 0}
        aria-valuetext={at === undefined ? "not set; move it with the arrow keys" : reading(start, step, at, series, format)}
        onKeyDown={onKeyDown}
        onPointerMove={(event) => {
          const bucket = bucketOf(event.clientX);
          setAt(bucket);
          if (drag) setDrag([drag[0], bucket]);
        }}
        onPointerLeave={() => setAt(undefined)}
        onPointerDown={(event) => {
          if (!onZoom || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          const bucket = bucketOf(event.clientX);
          setDrag([bucket, bucket]);
        }}
        onPointerUp={() => {
          if (drag && Math.abs(drag[0] - drag[1]) >= 1) zoom(drag[0], drag[1]);
          setDrag(undefined);
        }}
        onDblClick={() => onZoomOut?.()}
      >
        {scale.map((value) => (
          <g key={value}>
            <line class="rule" x1={LEFT} x2={width - RIGHT} y1={zero - value * unit} y2={zero - value * unit} />
            <text class="tick" x={LEFT - 8} y={zero - value * unit + 4} text-anchor="end">
              {format(value)}
            </text>
            {below.length > 0 && value > 0 ? (
              <>
                <line class="rule" x1={LEFT} x2={width - RIGHT} y1={zero + value * unit} y2={zero + value * unit} />
                <text class="tick" x={LEFT - 8} y={zero + value * unit + 4} text-anchor="end">
                  {format(value)}
                </text>
              </>
            ) : null}
          </g>
        ))}
        {shades.map((shade) => (
          <rect key={`${shade.class} ${shade.from}`} class={`shade ${shade.class}`} x={x(shade.from)} width={Math.max(1, x(shade.to) - x(shade.from))} y={TOP} height={tall}>
            <title>{shade.label}</title>
          </rect>
        ))}
        {kind === "bars" ? <Bars above={above} below={below} buckets={buckets} x={x} zero={zero} unit={unit} /> : series.map((one) => <path key={one.label} class={`line ${one.tone}`} d={line(one.values, (index) => x(index + 0.5), (value) => zero - (one.below ? -value : value) * unit)} />)}
        {times.map((tick) => (
          <text key={tick.at} class="tick" x={Math.min(x((tick.at - start) / step), width)} y={height - 6} text-anchor={x((tick.at - start) / step) > width - 30 ? "end" : "middle"}>
            {tick.label}
          </text>
        ))}
        {drag ? <rect class="brush" x={x(Math.min(...drag))} width={x(Math.max(...drag) + 1) - x(Math.min(...drag))} y={TOP} height={tall} /> : null}
        {at !== undefined ? <line class="cursor" x1={x(at + 0.5)} x2={x(at + 0.5)} y1={TOP} y2={TOP + tall} /> : null}
      </svg>
      <p class="reading" aria-hidden="true">
        {at === undefined ? (
          <Legend series={series} shades={shades} />
        ) : (
          <>
            <span class="num">{minute(stamp(new Date((start + at * step) * 1000)))}</span>
            {series.map((one) => (
              <span key={one.label}>
                <i class={`swatch ${one.tone}`} /> {one.label} <strong class="num">{format(one.values[at] ?? 0)}</strong>
              </span>
            ))}
            {shades
              .filter((shade) => at >= shade.from && at < shade.to)
              .map((shade) => (
                <span key={shade.class + shade.from}>{shade.label}</span>
              ))}
          </>
        )}
      </p>
    </div>
  );
}

function Legend({ series, shades }: { series: readonly Series[]; shades: readonly Shade[] }) {
  const kinds = new Map(shades.map((shade) => [shade.class, shade.label]));
  return (
    <>
      {series.map((one) => (
        <span key={one.label}>
          <i class={`swatch ${one.tone}`} /> {one.label}
        </span>
      ))}
      {[...kinds].map(([name, label]) => (
        <span key={name}>
          <i class={`swatch shade-${name}`} /> {label.split(":")[0]}
        </span>
      ))}
    </>
  );
}

function reading(start: number, step: number, at: number, series: readonly Series[], format: (value: number) => string): string {
  const values = series.map((one) => `${one.label} ${format(one.values[at] ?? 0)}`).join(", ");
  return `${minute(stamp(new Date((start + at * step) * 1000)))}: ${values}`;
}

interface BarsProps {
  above: readonly Series[];
  below: readonly Series[];
  buckets: number;
  x: (bucket: number) => number;
  zero: number;
  unit: number;
}

/** Each series is one path: a thousand bars are not a thousand elements. */
function Bars({ above, below, buckets, x, zero, unit }: BarsProps) {
  const wide = x(1) - x(0);
  const gap = wide > 8 ? Math.min(6, wide * 0.18) : 0;
  const path = (list: readonly Series[], sign: 1 | -1) => {
    const base = new Array<number>(buckets).fill(0);
    return list.map((one) => {
      let d = "";
      one.values.forEach((value, index) => {
        if (!(value > 0)) return;
        const from = base[index] ?? 0;
        base[index] = from + value;
        const y = zero - sign * from * unit;
        d += `M${(x(index) + gap / 2).toFixed(1)} ${y.toFixed(1)}h${Math.max(0.6, wide - gap).toFixed(2)}v${(-sign * Math.max(0.5, value * unit)).toFixed(2)}h${(-Math.max(0.6, wide - gap)).toFixed(2)}z`;
      });
      return <path key={one.label} class={`bar ${one.tone}`} d={d} />;
    });
  };
  return (
    <>
      {path(above, 1)}
      {path(below, -1)}
      <line class="zero" x1={x(0)} x2={x(buckets)} y1={zero} y2={zero} />
    </>
  );
}

function line(values: readonly number[], x: (index: number) => number, y: (value: number) => number): string {
  return values.map((value, index) => `${index === 0 ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}
