// Which columns are shown, and in which order. The choice is text for an address or a saved view: `rank,src_ip,bytes`.

import { Popover } from "../Popover";
import type { Column } from "./Grid";

/** The columns that `choice` names, in its order; `standard` (all, if left out) where it names none that there is. */
export function chosenColumns<R>(all: readonly Column<R>[], choice: string, standard?: readonly string[]): readonly Column<R>[] {
  const find = (keys: readonly string[]) => keys.flatMap((key) => all.find((column) => column.key === key) ?? []);
  const chosen = find([...new Set(choice.split(",").filter(Boolean))]);
  if (chosen.length > 0) return chosen;
  return standard ? find(standard) : all;
}

interface Props<R> {
  all: readonly Column<R>[];
  shown: readonly Column<R>[];
  /** The new choice; empty for the standard one. */
  onChoose: (choice: string) => void;
}

export function ColumnChooser<R>({ all, shown, onChoose }: Props<R>) {
  const keys = shown.map((column) => column.key);
  const hidden = all.filter((column) => !keys.includes(column.key));
  const move = (key: string, step: number) => {
    const from = keys.indexOf(key);
    const to = from + step;
    if (to < 0 || to >= keys.length) return;
    const next = keys.filter((other) => other !== key);
    next.splice(to, 0, key);
    onChoose(next.join(","));
  };
  return (
    <Popover label="Columns" align="end">
      {() => (
        <div class="chooser">
          <ul>
            {shown.map((column, at) => (
              <li key={column.key}>
                <label>
                  <input type="checkbox" checked disabled={shown.length === 1} onChange={() => onChoose(keys.filter((key) => key !== column.key).join(","))} />
                  {column.label}
                </label>
                <button type="button" class="step" disabled={at === 0} aria-label={`Move ${column.label} to the left`} onClick={() => move(column.key, -1)}>
                  ↑
                </button>
                <button type="button" class="step" disabled={at === shown.length - 1} aria-label={`Move ${column.label} to the right`} onClick={() => move(column.key, 1)}>
                  ↓
                </button>
              </li>
            ))}
            {hidden.map((column) => (
              <li key={column.key}>
                <label>
                  <input type="checkbox" checked={false} onChange={() => onChoose([...keys, column.key].join(","))} />
                  {column.label}
                </label>
              </li>
            ))}
          </ul>
          <button type="button" class="small" onClick={() => onChoose("")}>
            As delivered
          </button>
        </div>
      )}
    </Popover>
  );
}
