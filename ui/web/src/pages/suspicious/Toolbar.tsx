// Above the table: the day, the filter, groups or records, and what is shown.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Day } from "../../api/types";
import { DayPicker } from "../../parts/time/DayPicker";
import { minute } from "../../text/time";
import { count } from "../../text/units";
import type { List } from "./list";
import { show, type View } from "./view";

const HINTS = {
  flow: "IP address or network (10.0.0.0/8)",
  dns: "IP address, network, or part of a name",
  proxy: "IP address, network, or part of a URI",
} as const;

/** Typing is left alone for this long before the list is asked for, ms. */
const PAUSE = 300;

interface Props {
  at: View;
  date: string;
  head: List | undefined;
  days: readonly Day[];
  loading: boolean;
}

export function Toolbar({ at, date, head, days, loading }: Props) {
  return (
    <div class="toolbar">
      <DayPicker days={days} source={at.source} date={date} onPick={(day) => show({ date: day, selected: "" })} />
      <Filter key={at.source} at={at} />
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
              {head.run ? `, scored ${minute(head.run.scored_at)}` : ""}
            </span>
          </>
        ) : null}
      </span>
    </div>
  );
}

function Filter({ at }: { at: View }) {
  const [text, setText] = useState(at.filter);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(at.filter), [at.filter]);
  const apply = (value: string, how: "push" | "replace") => {
    clearTimeout(timer.current);
    show({ filter: value.trim() }, how);
  };
  return (
    <form
      class="filter"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        apply(text, "push");
      }}
    >
      <input
        id="filter"
        type="search"
        aria-label={`Filter: ${HINTS[at.source]}`}
        placeholder={HINTS[at.source]}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          const { value } = event.currentTarget;
          setText(value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => apply(value, "replace"), PAUSE);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          if (text) apply("", "push");
          else event.currentTarget.blur();
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}
