// A day in UTC: days that have records can be chosen, days with scores are marked.

import { useRef, useState } from "preact/hooks";
import type { Day } from "../../api/types";
import type { Source } from "../../text/source";
import { count } from "../../text/units";
import { useOutside } from "../Popover";
import { monthGrid, moveMonth, neighbour } from "./days";

const WEEK = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const monthName = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

interface Props {
  days: readonly Day[];
  source: Source;
  date: string;
  onPick: (date: string) => void;
}

export function DayPicker({ days, source, date, onPick }: Props) {
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

function Calendar({ days, source, date, onPick }: Props) {
  const [month, setMonth] = useState((date || days[0]?.date || new Date().toISOString()).slice(0, 7));
  return (
    <div class="calendar" role="dialog" aria-label="Choose a day">
      <div class="calendar-head">
        <button type="button" class="step" aria-label="Month before" onClick={() => setMonth(moveMonth(month, -1))}>
          ‹
        </button>
        <span aria-live="polite">{monthName.format(new Date(`${month}-01T00:00:00Z`))}</span>
        <button type="button" class="step" aria-label="Month after" onClick={() => setMonth(moveMonth(month, 1))}>
          ›
        </button>
      </div>
      <table>
        <thead>
          <tr>
            {WEEK.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {monthGrid(days, source, month).map((week, at) => (
            <tr key={at}>
              {week.map((cell, column) => (
                <td key={column}>
                  {cell ? (
                    <button
                      type="button"
                      disabled={cell.rows === 0}
                      class={cell.scored ? "scored" : cell.rows ? "unscored" : ""}
                      aria-current={cell.date === date ? "date" : undefined}
                      title={cell.rows ? `${cell.date}: ${count(cell.rows)} records${cell.scored ? "" : ", not scored"}` : `${cell.date}: no records`}
                      onClick={() => onPick(cell.date)}
                    >
                      {cell.number}
                    </button>
                  ) : null}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="legend">
        <span class="mark scored" /> scored <span class="mark unscored" /> records only
      </p>
    </div>
  );
}
