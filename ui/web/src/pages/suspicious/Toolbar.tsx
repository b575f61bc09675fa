// Above the table: the day, the query, which rows, the columns, saved views, and what is shown.

import type { Day } from "../../api/types";
import { ExportMenu } from "../../parts/ExportMenu";
import { QueryBar } from "../../parts/query/QueryBar";
import type { Column } from "../../parts/table/Grid";
import { ColumnChooser } from "../../parts/table/ColumnChooser";
import { DayPicker } from "../../parts/time/DayPicker";
import { SavedViewsMenu } from "../../parts/views/SavedViews";
import { minute } from "../../text/time";
import { count } from "../../text/units";
import type { Line, List } from "./list";
import { marked, type Severity, SEVERITIES } from "./scoring";
import { exportHref, show, type Shows, type View } from "./view";

interface Props {
  at: View;
  date: string;
  head: List | undefined;
  days: readonly Day[];
  loading: boolean;
  all: readonly Column<Line>[];
  shown: readonly Column<Line>[];
  onScore: () => void;
  onQuick: () => void;
  onRate: (severity: Severity) => void;
  onUndo: () => void;
}

const SHOWN: Record<Shows, string> = { open: "Not yet scored", rated: "Scored", ruled: "Allowed or suppressed", all: "All" };

export function Toolbar({ at, date, head, days, loading, all, shown, onScore, onQuick, onRate, onUndo }: Props) {
  const many = marked.value.size;
  return (
    <>
      <div class="toolbar">
        <DayPicker days={days} source={at.source} date={date} onPick={(day) => show({ date: day, selected: "" })} />
        <QueryBar key={at.source} source={at.source} date={date} query={at.filter} onQuery={(filter) => show({ filter })} />
        <SavedViewsMenu page={`suspicious/${at.source}`} />
        <ColumnChooser all={all} shown={shown} onChoose={(cols) => show({ cols }, "replace")} />
        <ExportMenu to={(format) => exportHref(at, date, format)} />
        <button type="button" aria-pressed={at.graph} title="The picture beside the table (v)" onClick={() => show({ graph: !at.graph }, "replace")}>
          Network
        </button>
      </div>
      <div class="toolbar second">
        <span class="rate" role="group" aria-label={many ? `Rate the ${many} marked rows` : "Rate the row"}>
          {([1, 2, 3] as const).map((severity) => (
            <button key={severity} type="button" class={`small s${severity}`} title={`Rate ${SEVERITIES[severity]} (${severity})`} onClick={() => onRate(severity)}>
              {severity} {SEVERITIES[severity]}
            </button>
          ))}
        </span>
        <button type="button" class="small" title="Choose how far it reaches, and see what it touches (s)" onClick={onScore}>
          Score{many ? ` ${count(many)} marked` : ""} …
        </button>
        <button type="button" class="small" title="Score an address, a name or a URI (q)" onClick={onQuick}>
          Quick scoring …
        </button>
        <button type="button" class="small" title="Take back what was scored last (u)" onClick={onUndo}>
          Undo
        </button>
        {many ? (
          <button type="button" class="small" onClick={() => (marked.value = new Map())}>
            Clear marks
          </button>
        ) : null}
        <label class="switch">
          <span>Show</span>
          <select value={at.shows} onChange={(event) => show({ shows: event.currentTarget.value as Shows, selected: "" })}>
            {(Object.entries(SHOWN) as [Shows, string][]).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <label class="switch">
          <input type="checkbox" checked={!at.flat} onChange={(event) => show({ flat: !event.currentTarget.checked }, "replace")} />
          Group alike
        </label>
        <span class="spacer" />
        <span class="counts" role="status" aria-live="polite">
          {loading ? <span class="quiet">loading … </span> : null}
          {head?.state === "ready" ? (
            <>
              <strong>{count(at.flat ? head.matching : head.groups)}</strong> {at.flat ? "records" : "groups"}
              {at.flat ? "" : ` of ${count(head.matching)} records`}
              <span class="quiet" title={head.run ? `Run ${head.run.run_id} of ${minute(head.run.scored_at)}` : undefined}>
                {" "}
                out of {count(head.records)} that day
                {head.left_out ? `, ${count(head.left_out)} ${at.shows === "open" ? "scored or ruled on" : "left out"}` : ""}
              </span>
            </>
          ) : null}
        </span>
      </div>
    </>
  );
}
