// A month of days, to choose one.

import { useState } from "preact/hooks";
import { count } from "../../text/units";
import type { DayChoice } from "./DayPicker";
import { monthGrid, moveMonth } from "./month";

const WEEK = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const monthName = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

export function Calendar({ days, source, date, onPick }: DayChoice) {
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
