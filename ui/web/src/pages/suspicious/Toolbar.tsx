// Above the table: the day, the query, which rows, the columns, saved views, and what is shown.

import type { Day } from "../../api/types";
import { QueryBar } from "../../parts/query/QueryBar";
import type { Column } from "../../parts/table/Grid";
import { ColumnChooser } from "../../parts/table/ColumnChooser";
import { DayPicker } from "../../parts/time/DayPicker";
import { SavedViewsMenu } from "../../parts/views/SavedViews";
import { minute } from "../../text/time";
import { count } from "../../text/units";
import type { Line, List } from "./list";
import { show, type View } from "./view";

interface Props {
  at: View;
  date: string;
  head: List | undefined;
  days: readonly Day[];
  loading: boolean;
  all: readonly Column<Line>[];
  shown: readonly Column<Line>[];
}

export function Toolbar({ at, date, head, days, loading, all, shown }: Props) {
  return (
    <>
      <div class="toolbar">
        <DayPicker days={days} source={at.source} date={date} onPick={(day) => show({ date: day, selected: "" })} />
        <QueryBar key={at.source} source={at.source} date={date} query={at.filter} onQuery={(filter) => show({ filter })} />
        <SavedViewsMenu page={`suspicious/${at.source}`} />
        <ColumnChooser all={all} shown={shown} onChoose={(cols) => show({ cols }, "replace")} />
        <button type="button" aria-pressed={at.graph} title="The picture beside the table (v)" onClick={() => show({ graph: !at.graph }, "replace")}>
          Network
        </button>
      </div>
      <div class="toolbar second">
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
              <span class="quiet">
                {" "}
                out of {count(head.records)} that day
                {head.run ? `, run ${minute(head.run.scored_at)}` : ""}
              </span>
            </>
          ) : null}
        </span>
      </div>
    </>
  );
}
