// An answer: a table, and a simple chart of two of its columns.

import { useMemo, useState } from "preact/hooks";
import type { SqlAnswer } from "../../api/types";
import { Chart } from "../../parts/chart/Chart";
import type { CellValue } from "../../parts/download";
import { type Column, Grid } from "../../parts/table/Grid";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";

/** Bars or points that a chart shows. */
const MOST = 500;

const isNumeric = (type: string) => /^(U?Int|Float|Decimal)/.test(type);

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A moment without a part of a second: its zeros say nothing. */
const WHOLE_SECOND = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.0+Z$/;

export function Result({ answer }: { answer: SqlAnswer }) {
  const [cursor, setCursor] = useState(-1);
  const [chart, setChart] = useState(false);
  const rows = useMemo(() => Array.from({ length: answer.rows }, (_, index) => index), [answer]);
  const columns = useMemo(
    () =>
      answer.columns.map((column): Column<number> => {
        const numeric = isNumeric(column.data_type);
        const render = (row: number) => {
          const value = column.values[row];
          return value === null || value === undefined ? <span class="none">–</span> : numeric ? <span class="num">{text(value)}</span> : <Wire text={text(value).replace(WHOLE_SECOND, "$1Z")} limit={300} />;
        };
        const shared = { key: column.name, label: column.name, hint: column.data_type, render };
        return numeric ? { ...shared, width: "minmax(90px, 1fr)", align: "end" } : { ...shared, width: "minmax(150px, 2fr)" };
      }),
    [answer],
  );
  const plain = answer.columns.length === 1 || answer.columns[0]?.name === "plan_type";
  return (
    <section class="sql-result" aria-label="Answer">
      <p class="sql-summary" role="status">
        {count(answer.rows)} rows in {count(answer.elapsed_ms)} ms
        {answer.truncated ? ", and more that are not shown: add LIMIT, or save the answer as a file" : ""}
        <span class="spacer" />
        {answer.rows > 0 && !plain ? (
          <button type="button" class="small" aria-pressed={chart} onClick={() => setChart(!chart)}>
            Chart
          </button>
        ) : null}
      </p>
      {chart ? <Picture answer={answer} /> : null}
      {answer.columns[0]?.name === "plan_type" ? (
        <pre class="mono" tabIndex={0}>
          {answer.columns[1]?.values.map((value) => text(value)).join("\n")}
        </pre>
      ) : (
        <Grid label="Rows of the answer" columns={columns} rows={rows} total={answer.rows} keyOf={(row) => String(row)} cursor={cursor} onCursor={setCursor} />
      )}
    </section>
  );
}

function Picture({ answer }: { answer: SqlAnswer }) {
  const numbers = answer.columns.filter((column) => isNumeric(column.data_type));
  const [across, setAcross] = useState(answer.columns.find((column) => !numbers.includes(column))?.name ?? answer.columns[0]?.name ?? "");
  const [up, setUp] = useState(numbers.find((column) => column.name !== across)?.name ?? numbers[0]?.name ?? "");
  const x = answer.columns.find((column) => column.name === across);
  const y = answer.columns.find((column) => column.name === up);
  if (!x || !y) return <p class="quiet">A chart needs a column of numbers.</p>;
  const points = x.values.slice(0, MOST).map((label, row) => ({ label: text(label), value: Number(y.values[row] ?? 0) }));
  const top = Math.max(0, ...points.map((point) => point.value));
  const bottom = Math.min(0, ...points.map((point) => point.value));
  const span = top - bottom || 1;
  const [width, height] = [1000, 240];
  const step = width / points.length;
  const at = (value: number) => ((top - value) / span) * (height - 20) + 10;
  const twin = { columns: [across, up], rows: points.map((point): readonly CellValue[] => [point.label, point.value]) };
  return (
    <Chart
      title={`${up} by ${across}`}
      summary={`Bars of ${up} for ${count(points.length)} values of ${across}, from ${count(bottom)} to ${count(top)}.`}
      twin={twin}
      tools={
        <>
          <Choose label="Across" names={answer.columns.map((column) => column.name)} value={across} set={setAcross} />
          <Choose label="Up" names={numbers.map((column) => column.name)} value={up} set={setUp} />
        </>
      }
    >
      <svg viewBox={`0 0 ${width} ${height}`} width="100%" height={height} preserveAspectRatio="none" class="sql-bars">
        {points.map((point, index) => (
          <rect key={index} x={index * step + step * 0.1} width={step * 0.8} y={Math.min(at(point.value), at(0))} height={Math.max(1, Math.abs(at(point.value) - at(0)))}>
            <title>{`${point.label.slice(0, 100)}: ${point.value.toLocaleString("en-US")}`}</title>
          </rect>
        ))}
      </svg>
    </Chart>
  );
}

function Choose({ label, names, value, set }: { label: string; names: readonly string[]; value: string; set: (value: string) => void }) {
  return (
    <label class="sql-choose">
      {label}{" "}
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
