// A day in UTC: days that have records can be chosen, days with scores are marked.

import { useRef, useState } from "preact/hooks";
import type { Day } from "../../api/types";
import type { Source } from "../../text/source";
import { later } from "../later";
import { useOutside } from "../Popover";
import { neighbour } from "./days";

const Calendar = later(() => import("./Calendar").then((code) => code.Calendar), "the calendar");

export interface DayChoice {
  days: readonly Day[];
  source: Source;
  date: string;
  onPick: (date: string) => void;
}

export function DayPicker({ days, source, date, onPick }: DayChoice) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const before = neighbour(days, source, date, -1);
  const after = neighbour(days, source, date, 1);

  useOutside(box, open, () => setOpen(false));

  return (
    <div
      class="date"
      ref={box}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          event.stopPropagation();
          setOpen(false);
          box.current?.querySelector<HTMLButtonElement>(".date-now")?.focus();
        }
      }}
    >
      <button type="button" class="step" disabled={!before} aria-label="Day before that has records" title={before} onClick={() => before && onPick(before)}>
        ‹
      </button>
      <button type="button" class="date-now" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="num">{date || "no day"}</span> <span class="zone">UTC</span>
      </button>
      <button type="button" class="step" disabled={!after} aria-label="Day after that has records" title={after} onClick={() => after && onPick(after)}>
        ›
      </button>
      {open ? (
        <Calendar
          days={days}
          source={source}
          date={date}
          onPick={(day) => {
            setOpen(false);
            onPick(day);
          }}
        />
      ) : null}
    </div>
  );
}
